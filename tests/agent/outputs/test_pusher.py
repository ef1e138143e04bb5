"""Pushing outputs of many party runs: one that can't be pushed holds no other up."""

import asyncio
import contextlib

import grpc
import pytest

from flow_wire import outputs_pb2 as pb
from flow_wire import outputs_pb2_grpc
from party_agent.identity.doors import PlainDoor
from party_agent.outputs_out.caps import SiteCaps
from party_agent.outputs_out.pusher import OutputPusher
from party_agent.outputs_out.spools import OutputSpools
from party_agent.settings import AgentSettings
from tests.agent.fakes import EVERYTHING, FakeClock

DEADLINE_S = 30
CAPS = {"file_bytes": 10**9, "run_bytes": 10**9, "run_files": 1000, "waiting_bytes": 10**9}


class FakeOutputServer(outputs_pb2_grpc.OutputServiceServicer):
    """Knows no party run any more; of those called bad it can't say even that."""

    def __init__(self):
        self.settled = set()
        self.news = asyncio.Condition()

    async def Push(self, requests, context):  # noqa: N802  gRPC's name
        async for message in requests:
            name = message.hello.party_run_id
            if name.startswith("bad"):
                await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
            answer = pb.OutputAnswer(state=pb.OUTPUT_STATE_REFUSED)
            await context.write(pb.PushOutputsResponse(answers=[answer]))
            async with self.news:
                self.settled.add(name)
                self.news.notify_all()

    async def until_settled(self, name):
        async with asyncio.timeout(DEADLINE_S), self.news:
            await self.news.wait_for(lambda: name in self.settled)


@pytest.fixture
async def served():
    server, fake = grpc.aio.server(), FakeOutputServer()
    outputs_pb2_grpc.add_OutputServiceServicer_to_server(fake, server)
    fake.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield fake
    await server.stop(0)


async def test_party_runs_that_can_not_be_pushed_now_hold_no_other_up(served, tmp_path):
    spools = OutputSpools(tmp_path / "uploads", SiteCaps(**CAPS))
    # In this order, and more than are pushed at once.
    for name in ("bad1", "bad2", "bad3", "good"):
        spools.expect(name)
    pusher = OutputPusher(
        AgentSettings(server=served.address, party="hospital-a"),
        PlainDoor(served.address),
        spools,
        tmp_path / "outputs",
        may_write=lambda _: False,
        rules=lambda: EVERYTHING,
        # Stands still: whoever waits for another attempt waits for ever.
        clock=FakeClock(),
        random=lambda: 0.999,
    )
    pushing = asyncio.create_task(pusher.run())
    try:
        await served.until_settled("good")
    finally:
        pushing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await pushing
