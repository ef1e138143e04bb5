"""A run is over before its logs have all come: who follows gets them while they come."""

import asyncio

import pytest

from flow_contract.logs import CaughtUp, LogChunk, LogRequest
from flow_server.services.log_reads import LogReadService
from flow_server.services.watches import Watches
from flow_server.storage.blobs import open_blobs
from flow_server.storage.database import Database
from tests.chaos.callers import LOCAL
from tests.server.flows import make_task
from tests.server.log_client import Pusher, chunk_of

SETTLE_S = 1000


class Follower:
    """Reads with a clock that the test moves and wake-ups that it gives."""

    def __init__(self, engine, folder, task_id):
        self._now_s = 0.0
        self._run_watch, self._task_watch = Watches(), Watches()
        service = LogReadService(
            Database(engine),
            open_blobs(None, folder),
            logs_watched=self._run_watch,
            tasks_watched=self._task_watch,
            clock_s=lambda: self._now_s,
            settle_s=SETTLE_S,
        )
        request = LogRequest(task_id=task_id, follow=True)
        self._pieces = service.read(request, caller=LOCAL, again=self._again)

    async def _again(self):
        return LOCAL

    async def chunks(self):
        """Return what comes until there is no more; None when the reading has ended."""
        chunks = []
        async for piece in self._pieces:
            match piece:
                case LogChunk():
                    chunks.append(piece)
                case CaughtUp():
                    return chunks
        return None

    async def later(self, seconds):
        """Let time pass, wake the reader, and return what comes then."""
        reading = asyncio.ensure_future(self.chunks())
        # It waits for news by now, or ends; either way it looks at the clock after this.
        await asyncio.sleep(0)
        self._now_s += seconds
        while not reading.done():
            self._run_watch.wake_all()
            await asyncio.wait({reading}, timeout=0.01)
        return reading.result()

    async def aclose(self):
        await self._pieces.aclose()


@pytest.fixture
async def ended(sdk, connect):
    """A run that is over, of which no log has come: its task and party run."""
    agent = await connect("hospital-a")
    task_id = await make_task(sdk, ["hospital-a"])
    await sdk.task.start(task_id)
    await agent.prepare()
    item = await agent.launch()
    await agent.finish(item)
    return task_id, item.spec.party_run_id


async def test_a_log_that_takes_long_to_come_is_followed_as_long_as_it_comes(
    server, engine, ended, tmp_path
):
    task_id, party_run_id = ended
    follower = Follower(engine, tmp_path / "state" / "blobs", task_id)
    assert await follower.chunks() == []
    end = 0
    async with Pusher(server.agents_address, "hospital-a") as agent:
        await agent.hello(party_run_id)
        for _ in range(4):
            chunk = chunk_of(party_run_id, end, b"more\n")
            end = (await agent.push(chunk)).end
            # Over for longer and longer, silent never for so long.
            assert await follower.later(0.6 * SETTLE_S) == [chunk]
    await follower.aclose()


async def test_a_log_of_which_nothing_more_comes_is_not_followed_for_ever(engine, ended, tmp_path):
    task_id, _ = ended
    follower = Follower(engine, tmp_path / "state" / "blobs", task_id)
    assert await follower.chunks() == []
    # Looked at once more, and then given up.
    assert await follower.later(1.5 * SETTLE_S) == []
    assert await follower.later(0) is None
    await follower.aclose()
