"""TaskService on gRPC: decode, one use case, encode."""

import contextlib
from collections.abc import AsyncGenerator

from flow_server.grpc_api import callers
from flow_server.grpc_api.context import Context
from flow_server.grpc_api.paging import page_of
from flow_server.services.starts import StartService
from flow_server.services.tasks import TaskService
from flow_server.services.watches import WaitService
from flow_wire import tasks_pb2 as pb
from flow_wire import tasks_pb2_grpc
from flow_wire.codec.tasks import decode_start, decode_task_spec, encode_task


class TaskServicer(tasks_pb2_grpc.TaskServiceServicer):
    """See proto/tasks.proto for each call's errors."""

    def __init__(self, tasks: TaskService, starts: StartService, waits: WaitService) -> None:
        self._tasks = tasks
        self._starts = starts
        self._waits = waits

    async def Create(
        self, request: pb.CreateTaskRequest, context: Context
    ) -> pb.CreateTaskResponse:
        task_id = await self._tasks.create(decode_task_spec(request.spec), caller=callers.current())
        return pb.CreateTaskResponse(task_id=task_id)

    async def Update(
        self, request: pb.UpdateTaskRequest, context: Context
    ) -> pb.UpdateTaskResponse:
        await self._tasks.update(
            request.task_id, decode_task_spec(request.spec), caller=callers.current()
        )
        return pb.UpdateTaskResponse()

    async def Get(self, request: pb.GetTaskRequest, context: Context) -> pb.GetTaskResponse:
        task = await self._tasks.get(request.task_id, caller=callers.current())
        return pb.GetTaskResponse(task=encode_task(task))

    async def List(self, request: pb.ListTasksRequest, context: Context) -> pb.ListTasksResponse:
        page, limit = page_of(request)
        found, count = await self._tasks.list(
            federated_id=request.federated_id, page=page, limit=limit, caller=callers.current()
        )
        return pb.ListTasksResponse(tasks=[encode_task(task) for task in found], task_count=count)

    async def Delete(
        self, request: pb.DeleteTaskRequest, context: Context
    ) -> pb.DeleteTaskResponse:
        await self._tasks.delete(request.task_id, caller=callers.current())
        return pb.DeleteTaskResponse()

    async def Start(self, request: pb.StartTaskRequest, context: Context) -> pb.StartTaskResponse:
        run_id = await self._starts.start(
            request.task_id,
            decode_start(request),
            request_id=request.request_id,
            caller=callers.current(),
        )
        return pb.StartTaskResponse(run_id=run_id)

    async def Stop(self, request: pb.StopTaskRequest, context: Context) -> pb.StopTaskResponse:
        lost = await self._starts.stop(
            request.task_id,
            request_id=request.request_id,
            force=request.force,
            caller=callers.current(),
        )
        return pb.StopTaskResponse(lost_parties=lost)

    async def Wait(
        self, request: pb.WaitTaskRequest, context: Context
    ) -> AsyncGenerator[pb.WaitTaskResponse, None]:
        calling = callers.calling()
        async with contextlib.aclosing(
            self._waits.wait(
                request.task_id, run_id=request.run_id, caller=calling.caller, again=calling.again
            )
        ) as changes:
            async for task in changes:
                yield pb.WaitTaskResponse(task=encode_task(task))
