"""Without a relay: where a site may be dialled directly, and where it turns out that it may not."""

import asyncio
import secrets

import pytest

from flow_contract.tunnels import (
    HELLO,
    JOINING_BYTES,
    NONCE_BYTES,
    TUNNEL_ID_BYTES,
    Joined,
    Side,
    joining,
)
from party_agent.tunnel.direct import DirectUnusable
from party_agent.tunnel.ends import NotConnected
from tests.agent.fakes import DEADLINE_S
from tests.agent.tunnel.both import Both, End, heard, said, tcp_pair


async def listening(end):
    port = await end.thread.do(lambda: end.ends.listen("127.0.0.1:0"))
    return f"127.0.0.1:{port}"


async def talk(both, ticket):
    async with both.connection(ticket=ticket) as (own_a, own_b, _, _):
        await said(own_a, b"hello")
        assert await heard(own_b, 5) == b"hello"
        await said(own_b, b"there")
        assert await heard(own_a, 5) == b"there"


async def test_a_site_that_may_be_dialled_is_and_the_relay_passes_nothing(both, relay):
    ticket = relay.issue(direct_address=await listening(both.b))
    await talk(both, ticket)
    assert all(len(b"".join(each)) == JOINING_BYTES for each in relay.tapped)


async def test_without_any_relay_it_works_too(both, relay):
    address = await listening(both.b)
    await relay.stop()
    await talk(both, relay.issue(direct_address=address))


async def test_where_nobody_answers_the_relay_is_the_way(both, relay):
    await listening(both.b)
    await talk(both, relay.issue(direct_address="127.0.0.1:1"))
    assert max(len(b"".join(each)) for each in relay.tapped) > JOINING_BYTES


@pytest.mark.parametrize("wrong", ["no ticket", "another secret", "the other side"])
async def test_who_has_no_ticket_gets_no_further(both, relay, wrong):
    address = await listening(both.b)
    ticket = relay.issue(direct_address=address)
    _, agents = tcp_pair()
    both.own(both.b.answer(both.b.line(ticket, "a"), agents))
    reader, writer = await asyncio.open_connection(*address.split(":"))
    async with asyncio.timeout(DEADLINE_S):
        assert await reader.readexactly(len(HELLO)) == HELLO
        nonce = await reader.readexactly(NONCE_BYTES)
        told = joining(ticket, nonce, Side.ANSWERS if wrong == "the other side" else Side.DIALS)
        if wrong == "no ticket":
            told = secrets.token_bytes(TUNNEL_ID_BYTES) + told[TUNNEL_ID_BYTES:]
        if wrong == "another secret":
            told = told[:-32] + secrets.token_bytes(32)
        writer.write(told)
        assert await reader.read() == bytes([Joined.REFUSED])
    writer.close()
    _.close()


async def test_a_place_that_is_taken_is_said_with_its_name():
    first, second = End(), End()
    address = await listening(first)
    with pytest.raises(DirectUnusable, match=address):
        await second.thread.do(lambda: second.ends.listen(address))
    await first.aclose()
    await second.aclose()


async def test_a_site_dials_no_address_that_its_policy_does_not_name(tmp_path, relay):
    both = Both(tmp_path, relay, may_dial=lambda _: False)
    own, agents = tcp_pair()
    line = both.a.line(relay.issue(direct_address=relay.address), "b")
    with own, pytest.raises(NotConnected, match=r"tunnel\.dial"):
        await both.a.dial(line, agents)
    assert not relay.tapped
    await both.aclose()
