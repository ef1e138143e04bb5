"""Who gets into a tunnel, and what everybody else is told."""

import dataclasses
import secrets

import pytest

from flow_contract.errors import Unavailable
from flow_contract.tunnels import JOINING_BYTES, Joined, Side, Ticket, joining, proof
from flow_server.relay.counts import Refusal
from flow_server.relay.limits import RelayLimits
from flow_server.relay.tickets import Tickets
from tests.relay.agents import CLOSED

NOBODYS = Ticket(
    tunnel_id=secrets.token_bytes(16), secret=secrets.token_bytes(32), relay_address=""
)


async def test_two_who_hold_the_two_sides_of_a_ticket_are_joined_whoever_comes_first(dialler):
    for first, second in [(Side.DIALS, Side.ANSWERS), (Side.ANSWERS, Side.DIALS)]:
        ticket = dialler.relay.issue("from-1")
        one = await dialler.proven(ticket, first)
        other = await dialler.proven(ticket, second)
        assert [await end.answer() for end in (one, other)] == [Joined.JOINED] * 2
        await one.say(b"to the other")
        assert await other.read(12) == b"to the other"


def test_a_ticket_names_the_relay_by_its_port_and_never_shows_its_secret(relay):
    ticket = relay.issue("from-1")
    assert ticket.relay_address == f":{relay.port}"
    assert ticket.secret.hex() not in repr(ticket)


WRONG = {
    "of a ticket that nobody issued": lambda ticket, nonce: joining(NOBODYS, nonce, Side.DIALS),
    "with another secret": lambda ticket, nonce: joining(
        dataclasses.replace(ticket, secret=bytes(32)), nonce, Side.DIALS
    ),
    "for another nonce": lambda ticket, nonce: joining(ticket, bytes(16), Side.DIALS),
    "for the other side": lambda ticket, nonce: (
        ticket.tunnel_id + bytes([Side.DIALS]) + proof(ticket.secret, nonce, Side.ANSWERS)
    ),
    "for a side that is none": lambda ticket, nonce: (
        ticket.tunnel_id + b"\x02" + proof(ticket.secret, nonce, Side.DIALS)
    ),
    "that are no words of ours": lambda ticket, nonce: (
        b"GET / HTTP/1.1\r\nHost: relay\r\nAccept: anything at all\r\n"[:JOINING_BYTES]
    ),
}


@pytest.mark.parametrize("what", WRONG)
async def test_words_that_prove_nothing_are_refused_and_use_nothing_up(what, dialler, until):
    ticket = dialler.relay.issue("from-1")
    stranger = await (await dialler.dial()).greeted()
    await stranger.say(WRONG[what](ticket, stranger.nonce))
    assert await stranger.answer() is Joined.REFUSED
    assert await stranger.end() == CLOSED
    await until(lambda counts: counts.refusals[Refusal.REFUSED] == 1)

    ends = [await dialler.proven(ticket, side) for side in Side]
    assert [await end.answer() for end in ends] == [Joined.JOINED] * 2


async def test_what_was_heard_on_the_wire_is_good_for_nothing_a_second_time(dialler):
    ticket = dialler.relay.issue("from-1")
    one = await (await dialler.dial()).greeted()
    heard = joining(ticket, one.nonce, Side.DIALS)
    await one.say(heard)
    thief = await (await dialler.dial()).greeted()
    assert thief.nonce != one.nonce
    await thief.say(heard)
    assert await thief.answer() is Joined.REFUSED
    other = await dialler.proven(ticket, Side.ANSWERS)
    assert [await end.answer() for end in (one, other)] == [Joined.JOINED] * 2


async def test_each_side_gets_in_once_while_it_waits_and_after(dialler):
    ticket = dialler.relay.issue("from-1")
    one = await dialler.proven(ticket, Side.DIALS)
    assert await (await dialler.proven(ticket, Side.DIALS)).answer() is Joined.REFUSED
    other = await dialler.proven(ticket, Side.ANSWERS)
    assert [await end.answer() for end in (one, other)] == [Joined.JOINED] * 2
    for side in Side:
        assert await (await dialler.proven(ticket, side)).answer() is Joined.REFUSED


def test_a_ticket_that_nobody_uses_expires():
    now_s = 100.0
    tickets = Tickets(RelayLimits(ticket_s=30), clock_s=lambda: now_s)
    nonce = bytes(16)
    old = tickets.issue("from-1", ":1")
    now_s = 129.0
    newer = tickets.issue("from-1", ":1")
    now_s = 130.0
    assert tickets.admit(joining(old, nonce, Side.DIALS), nonce) is None
    assert tickets.admit(joining(newer, nonce, Side.DIALS), nonce) is not None
    assert len(tickets) == 1


def test_one_whose_first_side_came_in_time_waits_for_the_other():
    now_s = 100.0
    tickets = Tickets(RelayLimits(ticket_s=30), clock_s=lambda: now_s)
    nonce = bytes(16)
    ticket = tickets.issue("from-1", ":1")
    now_s = 129.0
    assert tickets.admit(joining(ticket, nonce, Side.DIALS), nonce) is not None
    now_s = 135.0
    assert tickets.admit(joining(ticket, nonce, Side.ANSWERS), nonce) is not None


def test_one_party_run_may_not_take_all_the_tickets():
    tickets = Tickets(RelayLimits(tickets=4))
    held = [tickets.issue("greedy", ":1") for _ in range(2)]
    with pytest.raises(Unavailable):
        tickets.issue("greedy", ":1")
    tickets.issue("modest", ":1")
    tickets.withdraw(held[0].tunnel_id)
    tickets.issue("greedy", ":1")
    tickets.issue("modest", ":1")
    with pytest.raises(Unavailable):
        tickets.issue("another", ":1")


class TestShortTimes:
    @pytest.fixture
    def limits(self):
        return RelayLimits(pairing_s=0.05, handshake_s=0.05)

    async def test_who_waits_for_somebody_who_never_comes_is_told_that_he_is_alone(self, dialler):
        ticket = dialler.relay.issue("from-1")
        assert await (await dialler.proven(ticket, Side.DIALS)).answer() is Joined.ALONE
        late = await dialler.proven(ticket, Side.ANSWERS)
        assert await late.answer() is Joined.REFUSED

    @pytest.mark.parametrize("words", [b"", b"half a", bytes(JOINING_BYTES - 1)])
    async def test_who_says_too_little_is_closed_without_a_word(self, words, dialler, until):
        slow = await (await dialler.dial()).greeted()
        if words:
            await slow.say(words)
        assert await slow.answer() == CLOSED
        await until(lambda counts: counts.refusals[Refusal.SILENT] == 1)
        assert dialler.relay.counts.strangers_now == 0


async def test_who_waited_and_left_is_waited_for_no_longer(dialler, until):
    ticket = dialler.relay.issue("from-1")
    one = await dialler.proven(ticket, Side.DIALS)
    await until(lambda counts: counts.waiting_now == 1)
    one.close()
    await until(lambda counts: counts.waiting_now == 0)
    # At once, and not when its time is up.
    other = await dialler.proven(ticket, Side.ANSWERS)
    assert await other.answer() is Joined.REFUSED


class TestACrowd:
    @pytest.fixture
    def limits(self):
        return RelayLimits(strangers=8, tunnels=4)

    async def test_the_oldest_who_proved_nothing_make_room_for_who_comes_now(self, dialler, until):
        idle = [await (await dialler.dial()).greeted() for _ in range(12)]
        # All come from one address, which may be half of the strangers.
        assert [await one.answer() for one in idle[:8]] == [CLOSED] * 8
        one, other = await dialler.joined()
        await one.say(b"!")
        assert await other.read(1) == b"!"
        assert dialler.relay.counts.refusals[Refusal.CROWDED_OUT] >= 8
        assert dialler.relay.counts.strangers_now <= 4

    async def test_there_is_room_for_so_many_tunnels_and_half_as_many_of_one_party_run(
        self, dialler, until
    ):
        held = [await dialler.joined("greedy") for _ in range(2)]
        ticket = dialler.relay.issue("greedy")
        ends = [await dialler.proven(ticket, side) for side in Side]
        assert [await end.answer() for end in ends] == [Joined.BUSY] * 2
        held += [await dialler.joined("modest") for _ in range(2)]
        ticket = dialler.relay.issue("another")
        ends = [await dialler.proven(ticket, side) for side in Side]
        assert [await end.answer() for end in ends] == [Joined.BUSY] * 2
        for end in held[0]:
            end.finish()
        assert await held[0][0].end() == CLOSED
        assert await held[0][1].end() == CLOSED
        await until(lambda counts: counts.tunnels_now == 3)
        await dialler.joined("another")
