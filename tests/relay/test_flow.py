"""What flows through a tunnel, how it ends, and who is held up by whom."""

import asyncio
import hashlib
import resource
import secrets
import socket
import struct

import pytest

from flow_contract.errors import Unavailable
from flow_contract.tunnels import Joined, Side
from flow_server.relay.limits import RelayLimits
from flow_server.relay.relay import Relay
from tests.relay.agents import CLOSED, RESET, Dialler, kill_thread

RST = struct.pack("ii", 1, 0)
MIB = 1 << 20


async def test_a_side_that_ends_still_hears_the_other_to_its_end(dialler, until):
    one, other = await dialler.joined()
    await one.say(b"all that I have to say")
    one.finish()
    assert await other.read_to_end() == b"all that I have to say"
    for _ in range(3):
        await other.say(b"answer ")
        assert await one.read(7) == b"answer "
    other.finish()
    assert await one.read_to_end() == b""
    await until(lambda counts: counts.tunnels_now == 0)


async def test_bytes_that_come_one_by_one_arrive_in_their_order(dialler):
    one, other = await dialler.joined()
    sent = bytes(range(256))
    for byte in sent:
        await one.say(bytes([byte]))
    assert await other.read(len(sent)) == sent
    for byte in sent[:20]:
        await one.say(bytes([byte]))
        assert await other.read(1) == bytes([byte])


async def test_what_is_said_before_the_other_has_come_reaches_it(dialler):
    ticket = dialler.relay.issue("from-1")
    one = await dialler.proven(ticket, Side.DIALS)
    await one.say(b"hasty")
    other = await dialler.proven(ticket, Side.ANSWERS)
    assert await other.answer() is Joined.JOINED
    assert await other.read(5) == b"hasty"


@pytest.mark.parametrize("broken", [0, 1])
async def test_a_side_that_breaks_is_a_reset_for_the_other(broken, dialler, until):
    ends = await dialler.joined()
    await ends[broken].say(b"first")
    assert await ends[1 - broken].read(5) == b"first"
    ends[broken].sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
    ends[broken].close()
    assert await ends[1 - broken].end() == RESET
    await until(lambda counts: counts.tunnels_now == 0)


async def test_much_goes_through_both_ways_at_once_unchanged(dialler, until):
    ends = await dialler.joined()
    sent = [secrets.token_bytes(16 * MIB) for _ in ends]

    async def talk(end, data):
        await end.say(data)
        end.finish()

    heard = await asyncio.gather(
        *(end.read_to_end() for end in ends),
        *(talk(end, data) for end, data in zip(ends, sent, strict=True)),
    )
    assert [hashlib.sha256(data).digest() for data in heard[:2]] == [
        hashlib.sha256(data).digest() for data in reversed(sent)
    ]
    await until(lambda counts: counts.tunnels_now == 0)
    assert dialler.relay.counts.carried_bytes == 32 * MIB


async def said_until_held(end):
    """Say as much as goes in until nothing more does; return how many bytes that were."""
    said = calm = 0
    while calm < 50:
        try:
            said += end.sock.send(bytes(MIB))
            calm = 0
        except BlockingIOError:
            calm += 1
            await asyncio.sleep(0.01)
    return said


async def test_a_reader_that_stops_holds_the_writer_and_costs_a_bounded_memory(dialler):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    one, other = await dialler.joined()
    said = await said_until_held(one)
    # What the kernel's own buffers take, and a chunk.
    assert said < 64 * MIB
    # The other way goes on meanwhile.
    await other.say(b"I am here")
    assert await one.read(9) == b"I am here"
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 64 * MIB

    one.finish()
    assert len(await other.read_to_end()) == said


async def test_a_reader_that_stops_and_breaks_resets_the_writer_that_it_held(dialler, until):
    one, other = await dialler.joined()
    await said_until_held(one)
    other.close()
    assert await one.end() == RESET
    await until(lambda counts: counts.tunnels_now == 0)


async def test_a_tunnel_held_by_its_reader_holds_no_other(dialler):
    one, _ = await dialler.joined()
    await said_until_held(one)
    again, other = await dialler.joined()
    await again.say(b"free")
    assert await other.read(4) == b"free"


async def test_500_at_once_each_get_their_own_bytes(dialler, until):
    async def talk(number):
        one, other = await dialler.joined(f"from-{number % 3}")
        said = f"I am {number}".encode() * 100
        await one.say(said)
        assert await other.read(len(said)) == said
        return one, other

    ends = await asyncio.gather(*(talk(number) for number in range(500)))
    await until(lambda counts: counts.tunnels_now == 500)
    for pair in ends:
        for end in pair:
            end.close()
    await until(lambda counts: counts.tunnels_now == 0)


class TestIdle:
    @pytest.fixture
    def limits(self):
        return RelayLimits(idle_s=0.2)

    async def test_a_tunnel_in_which_nothing_moves_is_broken_off(self, dialler):
        one, other = await dialler.joined()
        assert [await end.end() for end in (one, other)] == [RESET] * 2


async def test_a_relay_that_stops_breaks_what_is_open_and_begins_anew_at_its_port(
    running, dialler, until
):
    one, other = await dialler.joined()
    ticket = dialler.relay.issue("from-1")
    waiting = await dialler.proven(ticket, Side.DIALS)
    stranger = await (await dialler.dial()).greeted()
    await until(lambda counts: counts.waiting_now == 1)
    await running.stop()
    assert [await end.end() for end in (one, other)] == [RESET] * 2
    assert await waiting.answer() in {CLOSED, RESET}
    assert await stranger.answer() in {CLOSED, RESET}
    with pytest.raises(Unavailable, match="relay"):
        dialler.relay.issue("from-1")

    await running.start()
    # Whose other side has waited in vain is used up.
    assert await (await dialler.proven(ticket, Side.ANSWERS)).answer() is Joined.REFUSED
    one, other = await dialler.joined()
    await one.say(b"new")
    assert await other.read(3) == b"new"
    assert dialler.relay.counts.tunnels_now == 1


async def test_two_relays_have_nothing_to_do_with_each_other(running, dialler):
    other = Relay(host="127.0.0.1", port=0)
    task = asyncio.create_task(other.run())
    elsewhere = Dialler(other)
    try:
        ticket = dialler.relay.issue("from-1")
        assert await (await elsewhere.proven(ticket, Side.DIALS)).answer() is Joined.REFUSED
    finally:
        elsewhere.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        other.close()


async def test_a_thread_that_ends_by_itself_is_told_to_whoever_runs_it(running, dialler):
    one, other = await dialler.joined()
    await kill_thread(dialler.relay)
    with pytest.raises(RuntimeError, match="thread ended"):
        await running.task
    with pytest.raises(Unavailable, match="relay"):
        dialler.relay.check()
    assert [await end.end() for end in (one, other)] == [RESET] * 2
