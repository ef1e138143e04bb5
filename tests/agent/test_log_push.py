"""Pushing logs to a server that can't store them: it is not asked too often."""

import asyncio
import contextlib

import grpc
import pytest

from flow_contract.log_records import LogRecord, LogStream, frame
from flow_contract.logs import LogEnd
from flow_wire import logs_pb2 as pb
from flow_wire import logs_pb2_grpc
from flow_wire.codec.logs import decode_log_chunk, encode_log_end
from party_agent.identity.doors import PlainDoor
from party_agent.logs_out.pusher import LogPusher
from party_agent.logs_out.spools import Spools
from party_agent.settings import AgentSettings
from tests.agent.fakes import EVERYTHING, FakeClock

PARTY = "hospital-a"
FIRST_S, MOST_S = 1.0, 8.0


class FakeLogServer(logs_pb2_grpc.LogServiceServicer):
    """Stores chunks, or refuses each with UNAVAILABLE while it is `full`."""

    def __init__(self):
        self.full = False
        self.refused = 0
        self.ends = {}

    async def Push(self, requests, context):  # noqa: N802  gRPC's name
        async for message in requests:
            match message.WhichOneof("body"):
                case "hello":
                    names = message.hello.party_run_ids
                case "chunk":
                    if self.full:
                        self.refused += 1
                        await context.abort(grpc.StatusCode.UNAVAILABLE, "the disk is full")
                    chunk = decode_log_chunk(message.chunk)
                    names = [chunk.party_run_id]
                    self.ends[chunk.party_run_id] = chunk.end
                case _:
                    continue
            ends = [LogEnd(party_run_id=name, end=self.ends.get(name, 0)) for name in names]
            await context.write(pb.PushLogsResponse(ends=[encode_log_end(end) for end in ends]))


@pytest.fixture
async def served():
    server, fake = grpc.aio.server(), FakeLogServer()
    logs_pb2_grpc.add_LogServiceServicer_to_server(fake, server)
    fake.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield fake
    await server.stop(0)


async def test_a_server_that_can_store_nothing_is_asked_less_and_less_often(served, tmp_path):
    served.full = True
    spools = Spools(tmp_path, bytes_per_run=10**6, bytes_of_site=10**6)
    room = spools.room_for("run1", EVERYTHING)
    room.path.write_bytes(frame(LogRecord(stream=LogStream.STDOUT, at_us=1, data=b"kept\n")))
    clock = FakeClock()
    settings = AgentSettings(
        server=served.address, party=PARTY, first_backoff_s=FIRST_S, max_backoff_s=MOST_S
    )
    pusher = LogPusher(
        settings,
        PlainDoor(served.address),
        spools,
        may_write=lambda _: True,
        clock=clock,
        random=lambda: 0.999,
    )
    pushing = asyncio.create_task(pusher.run())
    waited_s = []
    try:
        async with asyncio.timeout(30):
            while len(waited_s) < 4:
                await clock.until_waiting()
                delay_s = clock.slept_s[-1]
                if delay_s >= FIRST_S / 2:
                    waited_s.append(delay_s)
                clock.advance(delay_s)
                await asyncio.sleep(0)
        assert waited_s == sorted(set(waited_s))
        assert waited_s[-1] > 3 * FIRST_S
        served.full = False
        async with asyncio.timeout(30):
            while served.ends.get("run1") != room.path.stat().st_size:
                clock.advance(MOST_S)
                await asyncio.sleep(0.01)
    finally:
        pushing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await pushing
