"""RunService on gRPC: decode, one use case, encode."""

from flow_server.grpc_api import callers
from flow_server.grpc_api.context import Context
from flow_server.grpc_api.paging import page_of
from flow_server.services.runs import RunService
from flow_wire import runs_pb2 as pb
from flow_wire import runs_pb2_grpc
from flow_wire.codec.runs import encode_run


class RunServicer(runs_pb2_grpc.RunServiceServicer):
    """See proto/runs.proto for each call's errors."""

    def __init__(self, runs: RunService) -> None:
        self._runs = runs

    async def Get(self, request: pb.GetRunRequest, context: Context) -> pb.GetRunResponse:
        run = await self._runs.get(request.run_id, caller=callers.current())
        return pb.GetRunResponse(run=encode_run(run))

    async def List(self, request: pb.ListRunsRequest, context: Context) -> pb.ListRunsResponse:
        page, limit = page_of(request)
        found, count = await self._runs.list(
            request.task_id, page=page, limit=limit, caller=callers.current()
        )
        return pb.ListRunsResponse(runs=[encode_run(run) for run in found], run_count=count)
