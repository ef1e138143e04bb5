"""Sends workloads' metrics to the server, over the session's connection, until they are stored."""

from typing import NoReturn

import grpc.aio
import structlog

from flow_contract.metrics import MetricBatch
from flow_wire import metrics_pb2, metrics_pb2_grpc
from flow_wire.codec.metrics import encode_metric_batch
from party_agent.clock import Clock
from party_agent.tasks import for_ever
from party_agent.workload_api.host import ApiHost

PUSH_DEADLINE_S = 30.0
RETRY_S = 1.0

# The server will never take the batch: the run was deleted, or the batch is not as it wants it.
_FOR_GOOD = {
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.INVALID_ARGUMENT,
}

log = structlog.get_logger()


class MetricPush:
    """Sends what `host` has; one batch is under way at a time."""

    def __init__(self, *, federated_id: str, host: ApiHost, clock: Clock) -> None:
        self._federated_id = federated_id
        self._host = host
        self._clock = clock

    async def run(self, channel: grpc.aio.Channel) -> NoReturn:
        """Send over this connection until cancelled."""
        stub: metrics_pb2_grpc.MetricServiceAsyncStub = metrics_pb2_grpc.MetricServiceStub(channel)
        self._host.say_again()
        while True:
            batch = await self._host.next_batch()
            try:
                await self._push(stub, batch)
            finally:
                # Also when cut off: nobody knows then whether it arrived.
                self._host.send_again(batch.party_run_id)

    async def _push(
        self, stub: "metrics_pb2_grpc.MetricServiceAsyncStub", batch: MetricBatch
    ) -> None:
        request = metrics_pb2.PushMetricsRequest(
            federated_id=self._federated_id, batch=encode_metric_batch(batch)
        )
        try:
            answer = await stub.Push(request, timeout=PUSH_DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                log.warning("metrics_kept", why="the server is older and takes no metrics")
                await for_ever()
            if error.code() in _FOR_GOOD:
                log.warning(
                    "metrics_refused", party_run_id=batch.party_run_id, answer=error.details()
                )
                await self._host.give_up(batch.party_run_id)
            else:
                await self._clock.sleep(RETRY_S)
        else:
            await self._host.acknowledge(batch, answer.stored)
