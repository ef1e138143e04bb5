"""The two clients as objects: closing, context managers, threads, loops."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from flow_server_sdk import AsyncFlowServerSdk, FlowServerSdk, methods
from flow_wire import tasks_pb2
from tests.sdk.examples import TASK_ID

SUCCESS = {"ret_code": 0, "ret_msg": "success"}


@pytest.fixture
def deleting(server):
    server.replies(methods.DELETE_TASK, tasks_pb2.DeleteTaskResponse())
    return server


def test_the_blocking_client_closes_with_its_block_and_says_so_afterwards(deleting):
    with FlowServerSdk("127.0.0.1", deleting.port) as sdk:
        assert sdk.task.delete(TASK_ID) == SUCCESS
    sdk.close()
    with pytest.raises(RuntimeError, match="closed"):
        sdk.task.delete(TASK_ID)


async def test_the_async_client_closes_with_its_block_and_says_so_afterwards(deleting):
    async with AsyncFlowServerSdk("127.0.0.1", deleting.port) as sdk:
        assert await sdk.task.delete(TASK_ID) == SUCCESS
    await sdk.close()
    with pytest.raises(RuntimeError, match="closed"):
        await sdk.task.delete(TASK_ID)


async def test_the_blocking_client_works_inside_a_running_loop(deleting):
    with FlowServerSdk("127.0.0.1", deleting.port) as sdk:
        assert sdk.task.delete(TASK_ID) == SUCCESS


async def test_async_calls_run_side_by_side(deleting):
    async with AsyncFlowServerSdk("127.0.0.1", deleting.port) as sdk:
        answers = await asyncio.gather(*(sdk.task.delete(TASK_ID) for _ in range(20)))
    assert answers == [SUCCESS] * 20


def test_one_blocking_client_serves_many_threads(deleting):
    with FlowServerSdk("127.0.0.1", deleting.port) as sdk, ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: sdk.task.delete(TASK_ID), range(40)))
    assert answers == [SUCCESS] * 40
