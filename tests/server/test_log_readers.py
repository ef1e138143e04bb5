"""Readers of logs that are slow: they hold up nobody, and cost the server next to nothing."""

import os

import grpc
import pytest

from tests.server.flows import make_task
from tests.server.log_client import Pusher, Reader, chunk_of

CHUNKS = 480


@pytest.fixture
async def logged(server, sdk, connect):
    """A task whose log has 30 MB that can't be compressed: its id, and where the blobs lie."""
    agent = await connect("hospital-a")
    task_id = await make_task(sdk, ["hospital-a"])
    await sdk.task.start(task_id)
    await agent.prepare()
    item = await agent.launch()
    party_run_id = item.spec.party_run_id
    async with Pusher(server.agents_address, "hospital-a") as pusher:
        await pusher.hello(party_run_id)
        end = 0
        for _ in range(CHUNKS):
            chunk = chunk_of(party_run_id, end, os.urandom(32_000), os.urandom(32_000))
            await pusher.send(chunk)
            end = chunk.end
        while (await pusher.answer())[party_run_id].end < end:
            pass
    return task_id, item.spec.run_id


async def test_a_reader_who_takes_nothing_is_not_read_for_and_holds_up_no_other(
    server, logged, tmp_path
):
    task_id, run_id = logged
    async with Reader(server.grpc_address) as idle, Reader(server.grpc_address) as busy:
        waiting = idle.read(task_id)
        await waiting.call.wait_for_connection()
        for _ in range(2):
            assert len((await busy.read(task_id).to_the_end()).chunks) == CHUNKS
        # What the server has not read by now it can't give to anybody.
        for path in (tmp_path / "state" / "blobs" / "logs" / run_id).rglob("*.zst"):
            path.unlink()
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await waiting.to_the_end()
    assert ended.value.code() is grpc.StatusCode.NOT_FOUND
    assert 0 < len(waiting.chunks) < CHUNKS / 4
