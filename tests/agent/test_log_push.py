"""Pushing logs to a server that can't store them, or not one of them."""

import asyncio
import contextlib

import grpc
import pytest
import zstandard
from grpc_status import rpc_status
from structlog.testing import capture_logs

from flow_contract.errors import InvalidArgument, Kind
from flow_contract.log_records import LogRecord, LogStream, frame, records
from flow_contract.logs import LogEnd, LogState
from flow_wire import logs_pb2 as pb
from flow_wire import logs_pb2_grpc
from flow_wire.codec.errors import encode_error
from flow_wire.codec.logs import decode_log_chunk, encode_log_end
from party_agent.clock import SystemClock
from party_agent.identity.doors import PlainDoor
from party_agent.logs_out.pusher import LogPusher
from party_agent.logs_out.spools import Spools
from party_agent.settings import AgentSettings
from tests.agent.fakes import EVERYTHING, FakeClock

PARTY = "hospital-a"
FIRST_S, MOST_S = 1.0, 8.0


class FakeLogServer(logs_pb2_grpc.LogServiceServicer):
    """Stores chunks, or refuses each with UNAVAILABLE while it is `full`.

    A chunk that holds `hated` bytes is refused for good, by the name of its log; so is every
    hello with a log in `unwanted`. `closed` are the ends that were told.
    """

    def __init__(self):
        self.full = False
        self.refused = 0
        self.hated = None
        self.unwanted = set()
        self.ends = {}
        self.data = {}
        self.closed = {}
        self._closing = asyncio.Event()

    async def until_closed(self, *names):
        async with asyncio.timeout(60):
            while not set(self.closed) >= set(names):
                self._closing.clear()
                await self._closing.wait()

    async def Push(self, requests, context):  # noqa: N802  gRPC's name
        async for message in requests:
            match message.WhichOneof("body"):
                case "hello":
                    names = message.hello.party_run_ids
                    for name in self.unwanted & set(names):
                        await self._refuse(name, context)
                case "chunk":
                    if self.full:
                        self.refused += 1
                        await context.abort(grpc.StatusCode.UNAVAILABLE, "the disk is full")
                    chunk = decode_log_chunk(message.chunk)
                    names = [chunk.party_run_id]
                    raw = zstandard.decompress(chunk.data)
                    if self.hated is not None and self.hated in raw:
                        await self._refuse(chunk.party_run_id, context)
                    assert chunk.start == self.ends.get(chunk.party_run_id, 0)
                    self.ends[chunk.party_run_id] = chunk.end
                    self.data[chunk.party_run_id] = self.data.get(chunk.party_run_id, b"") + raw
                case _:
                    await self._close(message.closed, context)
                    continue
            ends = [LogEnd(party_run_id=name, end=self.ends.get(name, 0)) for name in names]
            await context.write(pb.PushLogsResponse(ends=[encode_log_end(end) for end in ends]))

    async def _refuse(self, party_run_id, context):
        self.refused += 1
        error = InvalidArgument("lines: too many", kind=Kind.PARTY_RUN, subject_id=party_run_id)
        await context.abort_with_status(rpc_status.to_status(encode_error(error)))

    async def _close(self, closed, context):
        self.closed[closed.party_run_id] = closed.end
        end = LogEnd(party_run_id=closed.party_run_id, end=closed.end, state=LogState.CLOSED)
        await context.write(pb.PushLogsResponse(ends=[encode_log_end(end)]))
        self._closing.set()


@pytest.fixture
async def served():
    server, fake = grpc.aio.server(), FakeLogServer()
    logs_pb2_grpc.add_LogServiceServicer_to_server(fake, server)
    fake.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield fake
    await server.stop(0)


def written(spools, party_run_id, *pieces):
    """Let a workload have written these."""
    room = spools.room_for(party_run_id, EVERYTHING)
    room.path.write_bytes(b"".join(framed(piece) for piece in pieces))
    return room.path


def framed(piece):
    return frame(LogRecord(stream=LogStream.STDOUT, at_us=1, data=piece))


def said(data):
    """What a log says: its text, and the sentences of the site."""
    found = list(records(data))
    text = b"".join(record.data for record in found if record.stream is not LogStream.MARK)
    return text, [record.data.decode() for record in found if record.stream is LogStream.MARK]


@pytest.fixture
def spools(tmp_path):
    return Spools(tmp_path, bytes_per_run=10**6, bytes_of_site=10**6)


@pytest.fixture
async def push(served, spools):
    """Begin to push what `spools` hold."""
    async with contextlib.AsyncExitStack() as stack:

        def push(clock, *, may_write=lambda _: False):
            settings = AgentSettings(
                server=served.address, party=PARTY, first_backoff_s=FIRST_S, max_backoff_s=MOST_S
            )
            door = PlainDoor(served.address)
            pusher = LogPusher(
                settings, door, spools, may_write=may_write, clock=clock, random=lambda: 0.999
            )
            pushing = asyncio.create_task(pusher.run())

            async def end():
                pushing.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await pushing

            stack.push_async_callback(end)

        yield push


async def test_a_log_that_the_server_refuses_ends_with_a_mark_and_holds_up_no_other(
    served, spools, push
):
    served.hated = b"bad"
    big = b"x" * 31_999 + b"\n"
    for name in ("run1", "run3"):
        written(spools, name, *[b"good\n"] * 3)
    # Two chunks, of two pieces each; the second is refused.
    written(spools, "run2", big, big, big, b"bad\n", b"never seen\n")
    with capture_logs() as logs:
        push(SystemClock())
        await served.until_closed("run1", "run2", "run3")
        async with asyncio.timeout(60):
            while spools.names():  # noqa: ASYNC110  files give no event
                await asyncio.sleep(0.01)
    assert said(served.data["run1"]) == said(served.data["run3"]) == (b"good\n" * 3, [])
    text, marks = said(served.data["run2"])
    assert text == big + big
    assert marks == ["what follows is lost: the server refused it (lines: too many)"]
    assert served.closed == served.ends
    assert served.refused == 1
    (told,) = [line for line in logs if line["event"] == "log_refused"]
    assert (told["party_run_id"], told["why"]) == ("run2", "lines: too many")


async def test_a_log_that_is_still_written_to_is_cut_short_once_it_is_over(served, spools, push):
    served.hated = b"bad"
    path = written(spools, "run1", b"bad\n")
    written(spools, "run2", b"good\n")
    running = {"run1"}
    push(SystemClock(), may_write=running.__contains__)
    await served.until_closed("run2")
    assert path.read_bytes() == framed(b"bad\n")
    running.clear()
    await served.until_closed("run1")
    assert said(served.data["run1"])[0] == b""
    assert served.refused == 1


async def test_a_log_that_is_refused_altogether_is_left_alone(served, spools, push):
    served.unwanted = {"run1"}
    written(spools, "run1", b"good\n")
    written(spools, "run2", b"good\n")
    with capture_logs() as logs:
        push(SystemClock())
        await served.until_closed("run2")
    assert [line["party_run_id"] for line in logs if line["event"] == "log_left_alone"] == ["run1"]
    assert spools.names()[0] == "run1"
    assert served.refused == 2


async def test_a_log_that_can_not_be_read_ends_with_a_mark(served, spools, push):
    path = written(spools, "run1", b"good\n")
    path.write_bytes(path.read_bytes() + b"\xff" * 100)
    written(spools, "run2", b"good\n")
    push(SystemClock())
    await served.until_closed("run1", "run2")
    text, (mark,) = said(served.data["run1"])
    assert text == b"good\n"
    assert mark.startswith("what follows is lost: it is damaged at its site (")
    assert said(served.data["run2"]) == (b"good\n", [])


async def test_a_server_that_can_store_nothing_is_asked_less_and_less_often(served, spools, push):
    served.full = True
    path = written(spools, "run1", b"kept\n")
    clock = FakeClock()
    push(clock, may_write=lambda _: True)
    waited_s = []
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
        while served.ends.get("run1") != path.stat().st_size:
            clock.advance(MOST_S)
            await asyncio.sleep(0.01)
