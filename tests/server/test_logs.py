"""Logs pushed by agents and read by users, on a real server with real blobs."""

import asyncio
from datetime import timedelta

import grpc
import pytest

from flow_contract.errors import Kind
from flow_contract.log_records import LogStream, at_of
from flow_contract.logs import LogState
from flow_wire.codec.errors import error_in
from tests.server.flows import make_task
from tests.server.log_client import Pusher, Reader, chunk_of

TWO = ["hospital-a", "hospital-b"]


@pytest.fixture
async def reader(server):
    async with Reader(server.grpc_address) as reader:
        yield reader


@pytest.fixture
async def running(sdk, connect):
    """A task that runs at two parties: its id, and the party run of each."""
    agents = [await connect(party) for party in TWO]
    task_id = await make_task(sdk, TWO)
    await sdk.task.start(task_id)
    for agent in agents:
        await agent.prepare()
    items = [await agent.launch() for agent in agents]
    return task_id, agents, items


def ids_of(items):
    return [item.spec.party_run_id for item in items]


def pusher(server, party="hospital-a"):
    return Pusher(server.agents_address, party)


async def test_what_was_pushed_is_read_in_the_order_of_time_over_all_parties(
    server, running, reader
):
    task_id, _, items = running
    first, second = ids_of(items)
    async with pusher(server) as a, pusher(server, "hospital-b") as b:
        assert (await a.hello(first))[first].end == 0
        await b.hello(second)
        one = chunk_of(first, 0, b"a1\n", b"a2\n", at_us=1000)
        assert (await a.push(one)).end == one.end
        await b.push(chunk_of(second, 0, b"b1\n", at_us=2000, stream=LogStream.STDERR))
        await a.push(chunk_of(first, one.end, b"a3\n", at_us=3000))
    got = await reader.read(task_id).to_the_end()
    assert got.text() == b"a1\na2\nb1\na3\n"
    assert got.caught_up == 1
    assert [party.federated_id for party in got.head.parties] == TWO
    only = await reader.read(task_id, parties=("hospital-b",)).to_the_end()
    assert only.text() == b"b1\n"


async def test_a_follower_sees_what_comes_later_and_ends_with_the_run(server, running, reader):
    task_id, agents, items = running
    first, second = ids_of(items)
    reading = reader.read(task_id, follow=True)
    assert await reading.until_caught_up()
    async with pusher(server) as a, pusher(server, "hospital-b") as b:
        await a.hello(first)
        await b.hello(second)
        sent = chunk_of(first, 0, b"late\n")
        await a.push(sent)
        while not reading.chunks:
            assert await reading.until_caught_up()
        for agent, item in zip(agents, items, strict=True):
            await agent.finish(item)
        last = chunk_of(first, sent.end, b"last words\n")
        await a.push(last)
        assert (await a.close(first, last.end)).state is LogState.CLOSED
        await b.close(second, 0)
        async with asyncio.timeout(5):
            await reading.to_the_end()
    assert reading.text() == b"late\nlast words\n"


async def test_a_chunk_that_does_not_begin_at_the_end_is_not_stored(server, running, reader):
    task_id, _, items = running
    first, _ = ids_of(items)
    sent = chunk_of(first, 0, b"once\n")
    for start in (0, sent.end + 7):
        async with pusher(server) as a:
            await a.hello(first)
            if start == 0:
                await a.push(sent)
            await a.send(chunk_of(first, start, b"again\n"))
            assert await a.refused() is grpc.StatusCode.ABORTED
    async with pusher(server) as a:
        assert (await a.hello(first))[first].end == sent.end
    assert (await reader.read(task_id).to_the_end()).text() == b"once\n"


async def test_two_connections_that_bring_the_same_leave_neither_hole_nor_repeat(
    server, running, reader
):
    task_id, _, items = running
    first, _ = ids_of(items)
    lines = [b"line %d\n" % number for number in range(200)]

    async def push_all():
        done = False
        while not done:
            async with pusher(server) as a:
                end = (await a.hello(first))[first].end
                position = 0
                try:
                    for line in lines:
                        chunk = chunk_of(first, position, line)
                        if position >= end:
                            await a.push(chunk)
                        position = chunk.end
                    done = True
                except (AssertionError, asyncio.InvalidStateError, grpc.aio.AioRpcError):
                    continue

    await asyncio.gather(push_all(), push_all())
    assert (await reader.read(task_id).to_the_end()).text() == b"".join(lines)


async def test_another_partys_log_can_not_be_pushed(server, running):
    _, _, items = running
    async with pusher(server, "hospital-b") as b:
        with pytest.raises(grpc.aio.AioRpcError, match="another party's"):
            await b.hello(ids_of(items)[0])


async def test_a_log_of_no_run_is_gone(server):
    async with pusher(server) as a:
        assert (await a.hello("nobody"))["nobody"].state is LogState.GONE


async def test_a_chunk_out_of_bounds_is_refused(server, running):
    first, _ = ids_of(running[2])
    async with pusher(server) as a:
        await a.hello(first)
        too_large = chunk_of(first, 0, *[b"x" * 30_000] * 3)
        await a.send(too_large)
        assert await a.refused() is grpc.StatusCode.INVALID_ARGUMENT
        # By its name, so that its agent can let that log end and go on with the others.
        known = error_in(await a.call.trailing_metadata())
        assert (known.kind, known.subject_id) == (Kind.PARTY_RUN, first)
        assert known.field == "raw_bytes"


@pytest.mark.parametrize("server_options", [{"log_bytes_per_party_run": 100}])
async def test_a_log_that_grew_too_long_takes_no_more(server, running, reader):
    task_id, _, items = running
    first, _ = ids_of(items)
    async with pusher(server) as a:
        await a.hello(first)
        sent = chunk_of(first, 0, b"x" * 99 + b"\n")
        assert (await a.push(sent)).state is LogState.FULL
        await a.send(chunk_of(first, sent.end, b"more\n"))
        assert (await a.close(first, sent.end)).state is LogState.CLOSED
    assert len((await reader.read(task_id).to_the_end()).text()) == 100


async def test_since_and_tail_begin_with_the_chunk_that_holds_it(server, running, reader):
    task_id, _, items = running
    first, _ = ids_of(items)
    async with pusher(server) as a:
        await a.hello(first)
        position = 0
        for number in range(10):
            chunk = chunk_of(first, position, b"%d\n" % number, at_us=number * 1_000_000)
            await a.push(chunk)
            position = chunk.end
    late = await reader.read(task_id, since=at_of(7_000_000)).to_the_end()
    assert late.text() == b"7\n8\n9\n"
    # Two lines more than asked for: who reads drops those that may have begun before.
    tail = await reader.read(task_id, tail=3).to_the_end()
    assert tail.text() == b"5\n6\n7\n8\n9\n"
    everything = await reader.read(task_id, tail=50).to_the_end()
    assert everything.text() == b"".join(b"%d\n" % number for number in range(10))
    nothing = await reader.read(task_id, since=at_of(60_000_000)).to_the_end()
    assert nothing.text() == b""


async def test_a_reading_goes_on_from_where_an_earlier_one_got_to(server, running, reader):
    task_id, _, items = running
    first, _ = ids_of(items)
    async with pusher(server) as a:
        await a.hello(first)
        one = chunk_of(first, 0, b"1\n")
        await a.push(one)
        await a.push(chunk_of(first, one.end, b"2\n"))
    rest = await reader.read(task_id, positions={first: one.end}).to_the_end()
    assert rest.text() == b"2\n"


async def test_a_withheld_log_says_so(server, running, reader):
    task_id, _, items = running
    first, second = ids_of(items)
    async with pusher(server) as a, pusher(server, "hospital-b") as b:
        await a.hello(first)
        await a.close(first, 0, withheld=True)
        await b.hello(second)
        await b.close(second, 0)
    got = await reader.read(task_id, follow=True).to_the_end()
    assert [(party.complete, party.withheld) for party in got.head.parties] == [
        (True, True),
        (True, False),
    ]


async def test_a_task_that_was_never_started_has_no_logs(sdk, reader):
    task_id = await make_task(sdk, TWO)
    reading = reader.read(task_id)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await reading.to_the_end()
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION


@pytest.mark.parametrize(
    "request_",
    [{"task_id": "nobody"}, {"run_id": "nobody"}, {"parties": ("nobody",)}],
)
async def test_what_is_not_there_can_not_be_read(running, reader, request_):
    request_ = {"task_id": running[0]} | request_
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await reader.read(**request_).to_the_end()
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_chunks_go_with_their_run_and_blobs_soon_after(
    sdk, server, running, *, reader, keeping, tmp_path
):
    task_id, agents, items = running
    first, _ = ids_of(items)
    async with pusher(server) as a:
        await a.hello(first)
        await a.push(chunk_of(first, 0, b"1\n"))
    folder = tmp_path / "state" / "blobs" / "logs" / items[0].spec.run_id
    assert len(list(folder.rglob("*.zst"))) == 1
    for agent, item in zip(agents, items, strict=True):
        await agent.finish(item)
    await sdk.task.delete(task_id)
    async with pusher(server) as a:
        assert (await a.hello(first))[first].state is LogState.GONE
    await keeping(age=timedelta(0)).sweep()
    assert not list(folder.rglob("*.zst"))


async def test_a_full_disk_stores_nothing_and_loses_nothing(server, running, reader, tmp_path):
    task_id, _, items = running
    first, _ = ids_of(items)
    blobs = tmp_path / "state" / "blobs"
    async with pusher(server) as a:
        await a.hello(first)
        chunk = chunk_of(first, 0, b"1\n")
        await a.push(chunk)
        # A file where a directory should be refuses writes as a full disk does, also for root.
        (blobs / "logs").rename(blobs / "away")
        (blobs / "logs").touch()
        await a.send(chunk_of(first, chunk.end, b"2\n"))
        assert await a.refused() is grpc.StatusCode.UNAVAILABLE
    (blobs / "logs").unlink()
    (blobs / "away").rename(blobs / "logs")
    async with pusher(server) as a:
        assert (await a.hello(first))[first].end == chunk.end
        await a.push(chunk_of(first, chunk.end, b"2\n"))
    assert (await reader.read(task_id).to_the_end()).text() == b"1\n2\n"
