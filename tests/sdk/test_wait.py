"""A wait follows one run to its end, whatever happens to the connection meanwhile."""

import asyncio
import logging

import grpc
import pytest

from flow_contract.errors import Conflict, Internal, Kind, NotFound, Unavailable
from flow_contract.lifecycle import PartyRunState, RunStatus
from flow_server_sdk import AsyncFlowServerSdk, FlowServerSdk, methods
from flow_wire import tasks_pb2
from flow_wire.codec.tasks import encode_task
from tests.sdk import examples
from tests.sdk.examples import RUN_ID, TASK_ID
from tests.sdk.scripted_server import LOST, Hang, Status


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.WARNING, logger="flow_server_sdk")


def change(status: RunStatus, state=PartyRunState.RUNNING, **task) -> tasks_pb2.WaitTaskResponse:
    return tasks_pb2.WaitTaskResponse(
        task=encode_task(examples.task(status, examples.party_run(state), **task))
    )


STARTED = change(RunStatus.STARTED, PartyRunState.PENDING)
RUNNING = change(RunStatus.RUNNING)
SUCCEEDED = change(RunStatus.SUCCEEDED, PartyRunState.SUCCEEDED)


def test_a_wait_returns_the_final_task_and_tells_every_change(sdk, server):
    server.replies(methods.WAIT_TASK, [STARTED, RUNNING, SUCCEEDED])
    told = []
    answer = sdk.task.wait(TASK_ID, on_change=told.append)
    assert answer["ret_code"] == 0
    assert list(answer["data"]) == [*examples.TASK_DICT, "run_id", "run_message"]
    assert (answer["data"]["status"], answer["data"]["run_id"]) == ("Succeeded", RUN_ID)
    assert [data["status"] for data in told] == ["Started", "Running", "Succeeded"]
    assert told[-1] == answer["data"]


def test_what_a_listener_does_to_its_dict_does_not_end_in_the_answer(sdk, server):
    server.replies(methods.WAIT_TASK, [SUCCEEDED])
    answer = sdk.task.wait(TASK_ID, on_change=dict.clear)
    assert answer["data"]["status"] == "Succeeded"


@pytest.mark.parametrize(
    "loss",
    [LOST, Status(grpc.StatusCode.CANCELLED), Unavailable("restarting")],
    ids=["unavailable", "cancelled", "says so"],
)
def test_a_lost_stream_is_taken_up_again_and_nothing_is_told_twice(sdk, server, caplog, loss):
    server.replies(methods.WAIT_TASK, [STARTED, loss], [STARTED, RUNNING, loss], [SUCCEEDED])
    told = []
    answer = sdk.task.wait(TASK_ID, on_change=told.append)
    assert answer["data"]["status"] == "Succeeded"
    assert [data["status"] for data in told] == ["Started", "Running", "Succeeded"]
    assert "cut off" in caplog.text


def test_a_stream_that_ends_before_the_run_does_is_taken_up_again(sdk, server):
    server.replies(methods.WAIT_TASK, [RUNNING], [SUCCEEDED])
    assert sdk.task.wait(TASK_ID)["data"]["status"] == "Succeeded"


def test_a_wait_stays_with_its_run_when_the_next_has_begun(sdk, server):
    server.replies(methods.WAIT_TASK, [RUNNING, LOST], [change(RunStatus.FAILED)])
    assert sdk.task.wait(TASK_ID)["data"]["status"] == "Failed"
    assert [request.run_id for request in server.asked(methods.WAIT_TASK)] == ["", RUN_ID]


def test_a_wait_goes_on_with_the_repeat_of_a_failed_run(sdk, server):
    repeat = "f" * 32
    due, again, over = (
        change(RunStatus.PENDING, PartyRunState.FAILED),
        change(RunStatus.RUNNING, run_id=repeat),
        change(RunStatus.SUCCEEDED, PartyRunState.SUCCEEDED, run_id=repeat),
    )
    server.replies(methods.WAIT_TASK, [RUNNING, due, again, LOST], [over])
    told = []
    data = sdk.task.wait(TASK_ID, on_change=told.append)["data"]
    assert (data["status"], data["run_id"]) == ("Succeeded", repeat)
    assert [shown["run_id"] for shown in told] == [RUN_ID, RUN_ID, repeat, repeat]
    assert [request.run_id for request in server.asked(methods.WAIT_TASK)] == ["", repeat]


def test_a_run_that_does_not_end_in_time_raises_and_goes_on(sdk, server):
    server.replies(methods.WAIT_TASK, [RUNNING, Hang()])
    with pytest.raises(TimeoutError, match=r"is still Running at 127\.0\.0\.1.*it goes on"):
        sdk.task.wait(TASK_ID, timeout_s=0.5)
    assert server.abandoned.wait(30)


def test_a_wait_without_time_asks_nobody(sdk, server):
    with pytest.raises(TimeoutError, match="has not been heard of"):
        sdk.task.wait(TASK_ID, timeout_s=0)
    assert not server.asked(methods.WAIT_TASK)


def test_a_task_that_never_ran_or_is_unknown_is_answered(sdk, server):
    server.replies(
        methods.WAIT_TASK,
        Conflict("never started", kind=Kind.TASK),
        NotFound("task not found", kind=Kind.TASK),
    )
    assert sdk.task.wait(TASK_ID) == {"ret_code": 10303, "ret_msg": "never started"}
    assert sdk.task.wait(TASK_ID) == {"ret_code": 10300, "ret_msg": "task not found"}


def test_a_server_that_was_never_there_is_unavailable(connect, server):
    sdk = connect(server.port)
    server.stop()
    with pytest.raises(Unavailable, match="can't be reached"):
        sdk.task.wait(TASK_ID)


def test_a_defect_of_the_server_ends_the_wait(sdk, server):
    server.replies(methods.WAIT_TASK, [RUNNING, Internal("incident 4711")])
    with pytest.raises(Internal, match="incident 4711"):
        sdk.task.wait(TASK_ID)


class Enough(Exception):
    pass


class EnoughRpc(Enough, grpc.RpcError):
    pass


@pytest.mark.parametrize("way_out", [Enough, EnoughRpc, StopIteration, StopAsyncIteration])
def test_what_a_listener_raises_ends_the_wait_and_the_stream(sdk, server, way_out):
    server.replies(methods.WAIT_TASK, [RUNNING, Hang()])

    def listener(_):
        raise way_out

    # asyncio turns a StopIteration that leaves a coroutine into a RuntimeError.
    with pytest.raises((way_out, RuntimeError)):
        sdk.task.wait(TASK_ID, on_change=listener)
    assert server.abandoned.wait(30)


async def test_an_async_listener_is_awaited_before_the_next_change(server):
    server.replies(methods.WAIT_TASK, [RUNNING, SUCCEEDED])
    told = []

    async def listener(data):
        told.append(f"{data['status']} heard")
        await asyncio.sleep(0)
        told.append(f"{data['status']} done")

    async with AsyncFlowServerSdk("127.0.0.1", server.port) as sdk:
        await sdk.task.wait(TASK_ID, on_change=listener)
    assert told == ["Running heard", "Running done", "Succeeded heard", "Succeeded done"]


async def test_a_cancelled_wait_ends_its_stream(server):
    server.replies(methods.WAIT_TASK, [RUNNING, Hang()])
    heard = asyncio.Event()
    async with AsyncFlowServerSdk("127.0.0.1", server.port) as sdk:
        async with asyncio.TaskGroup() as tasks:
            wait = tasks.create_task(sdk.task.wait(TASK_ID, on_change=lambda _: heard.set()))
            await heard.wait()
            wait.cancel()
        assert wait.cancelled()
        assert await asyncio.to_thread(server.abandoned.wait, 30)


def test_a_listener_may_call_the_client_that_calls_it(server):
    server.replies(methods.WAIT_TASK, [RUNNING, SUCCEEDED])
    server.replies(methods.STOP_TASK, tasks_pb2.StopTaskResponse())
    with FlowServerSdk("127.0.0.1", server.port) as sdk:
        sdk.task.wait(TASK_ID, on_change=lambda _: sdk.task.stop(TASK_ID))
    assert len(server.asked(methods.STOP_TASK)) == 2
