"""MetricService on gRPC: agents push at their port, users list at theirs."""

from flow_contract.errors import Forbidden, Kind
from flow_contract.metrics import DEFAULT_LISTED
from flow_server.grpc_api import callers
from flow_server.grpc_api.certificates import party_of
from flow_server.grpc_api.context import Context
from flow_server.services.metrics import MetricService
from flow_wire import metrics_pb2 as pb
from flow_wire import metrics_pb2_grpc
from flow_wire.codec.metrics import decode_metric_batch, encode_party_metrics


class MetricServicer(metrics_pb2_grpc.MetricServiceServicer):
    """See proto/metrics.proto for each call's errors.

    Who pushes is whom the certificate names, and where none is asked for whom the request names.
    """

    def __init__(self, metrics: MetricService) -> None:
        self._metrics = metrics

    async def Push(
        self, request: pb.PushMetricsRequest, context: Context
    ) -> pb.PushMetricsResponse:
        identity = party_of(context.auth_context())
        if identity is not None and request.federated_id not in ("", identity.federated_id):
            raise Forbidden(
                f"this agent's certificate is for party {identity.federated_id!r}, and it can "
                "speak for no other",
                kind=Kind.PARTY,
                subject_id=identity.federated_id,
                field="federated_id",
            )
        stored = await self._metrics.push(
            request.federated_id if identity is None else identity.federated_id,
            decode_metric_batch(request.batch),
            serial=None if identity is None else identity.serial,
        )
        return pb.PushMetricsResponse(stored=stored)

    async def List(
        self, request: pb.ListMetricsRequest, context: Context
    ) -> pb.ListMetricsResponse:
        page = await self._metrics.list(
            request.task_id,
            run_id=request.run_id,
            federated_id=request.federated_id,
            name=request.name,
            after=request.after,
            limit=request.limit if request.HasField("limit") else DEFAULT_LISTED,
            caller=callers.current(),
        )
        return pb.ListMetricsResponse(
            run_id=page.run_id,
            parties=[encode_party_metrics(party) for party in page.parties],
            next="" if page.next is None else str(page.next),
        )
