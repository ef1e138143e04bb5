"""Whole connections: two agents, a relay, and plain TCP at both ends."""

import asyncio
import hashlib
import secrets
import socket

import pytest

from flow_contract.tunnels import Joined
from party_agent.tunnel.ends import NotConnected
from party_agent.tunnel.frames import Outcome
from party_agent.tunnel.pump import Ended
from party_agent.tunnel.rates import BURST_S, Bucket, Valve
from party_agent.tunnel.sealing import READ_BYTES
from tests.agent.fakes import DEADLINE_S
from tests.agent.tunnel.both import Both, ended, heard, is_reset, said, tcp_pair

MARKER = b"these are a hospital's words"


class TestBytes:
    async def test_what_one_says_the_other_hears_and_both_are_counted_alike(self, both):
        async with both.connection() as (own_a, own_b, dialling, answering):
            await said(own_a, b"question")
            assert await heard(own_b, 8) == b"question"
            await said(own_b, b"the answer")
            assert await heard(own_a, 10) == b"the answer"
            own_a.close()
            assert await heard(own_b, 1) == b""
            own_b.close()
            assert await ended(dialling) is await ended(answering) is Ended.DONE
        a, b = both.a.count, both.b.count
        assert (a.sent_bytes, a.received_bytes, a.connections) == (8, 10, 1)
        assert (b.sent_bytes, b.received_bytes, b.connections) == (10, 8, 1)

    async def test_who_has_said_all_still_hears(self, both):
        async with both.connection() as (own_a, own_b, dialling, answering):
            await said(own_a, b"everything")
            own_a.shutdown(socket.SHUT_WR)
            assert await heard(own_b, 100) == b"everything"
            await said(own_b, b"late " * 1000)
            own_b.close()
            assert await heard(own_a, 10_000) == b"late " * 1000
            assert await ended(dialling) is await ended(answering) is Ended.DONE

    async def test_who_answers_may_speak_first_and_end_first(self, both):
        async with both.connection() as (own_a, own_b, dialling, _):
            await said(own_b, b"banner")
            own_b.shutdown(socket.SHUT_WR)
            assert await heard(own_a, 100) == b"banner"
            await said(own_a, b"thanks")
            own_a.close()
            assert await heard(own_b, 100) == b"thanks"
            assert await ended(dialling) is Ended.DONE

    async def test_single_bytes_pass_one_by_one(self, both):
        async with both.connection() as (own_a, own_b, _, _):
            for number in range(300):
                await said(own_a, bytes([number % 256]))
                assert await heard(own_b, 1) == bytes([number % 256])
                await said(own_b, bytes([255 - number % 256]))
                assert await heard(own_a, 1) == bytes([255 - number % 256])

    async def test_much_arrives_whole_both_ways_at_once(self, both):
        data = [secrets.token_bytes(24 * 1024 * 1024) for _ in range(2)]

        async def through(source, sink, sent):
            sending = asyncio.ensure_future(said(source, sent))
            digest = hashlib.sha256(await heard(sink, len(sent))).digest()
            await sending
            return digest

        async with both.connection() as (own_a, own_b, _, _):
            got = await asyncio.gather(
                through(own_a, own_b, data[0]), through(own_b, own_a, data[1])
            )
        assert got == [hashlib.sha256(each).digest() for each in data]

    async def test_500_connections_at_once_each_hear_their_own(self, both):
        async def one(number):
            async with both.connection() as (own_a, own_b, dialling, answering):
                word = f"connection {number}".encode()
                await said(own_a, word)
                assert await heard(own_b, len(word)) == word
                all_there.add(number)
                if len(all_there) == 500:
                    everybody.set()
                async with asyncio.timeout(DEADLINE_S):
                    await everybody.wait()
                await said(own_b, word[::-1])
                assert await heard(own_a, len(word)) == word[::-1]
                own_a.close()
                own_b.close()
                assert await ended(dialling) is await ended(answering) is Ended.DONE

        all_there, everybody = set(), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for number in range(500):
                group.create_task(one(number))
        assert both.a.count.connections == both.b.count.connections == 500


class TestBreaks:
    async def test_a_workload_that_breaks_is_a_reset_at_the_other(self, both):
        async with both.connection() as (own_a, own_b, dialling, answering):
            await said(own_a, b"x")
            await heard(own_b, 1)
            own_a.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            own_a.close()
            assert await is_reset(own_b)
            assert await ended(dialling) is Ended.WORKLOAD_BROKE
            assert await ended(answering) is Ended.WIRE_BROKE

    async def test_a_relay_that_dies_resets_both_workloads(self, both, relay):
        async with both.connection() as (own_a, own_b, _, _):
            await said(own_a, b"x")
            await heard(own_b, 1)
            relay.break_all()
            assert await is_reset(own_a)
            assert await is_reset(own_b)
        async with both.connection() as (own_a, own_b, _, _):
            await said(own_a, b"and new ones work")
            assert await heard(own_b, 17) == b"and new ones work"

    async def test_an_agent_that_leaves_in_the_middle_resets_both_workloads(self, both):
        async with both.connection() as (own_a, own_b, _, _):
            await said(own_a, b"x")
            await heard(own_b, 1)
            sending = both.own(said(own_a, bytes(64 * 1024 * 1024)))
            await both.b.aclose()
            heard_of, sent = await asyncio.gather(is_reset(own_a), sending, return_exceptions=True)
            # A reset is told once: to whichever of reading and writing asks first.
            assert heard_of is True or isinstance(sent, ConnectionResetError)
            assert await is_reset(own_b)

    async def test_what_nobody_uses_for_too_long_is_broken(self, tmp_path, relay):
        both = Both(tmp_path, relay, idle_s=0.3)
        async with both.connection() as (own_a, own_b, dialling, answering):
            await said(own_a, b"x")
            await heard(own_b, 1)
            assert await is_reset(own_a)
            assert await is_reset(own_b)
            assert Ended.IDLE in (await ended(dialling), await ended(answering))
        await both.aclose()


class TestNobodyThere:
    async def test_a_port_where_nobody_listens_is_a_reset(self, both, relay):
        ticket = relay.issue()
        own, agents = tcp_pair()
        answering = both.own(both.b.answer(both.b.line(ticket, "a"), Outcome.REFUSED))
        with own, pytest.raises(NotConnected, match="refused"):
            await ended(both.own(both.a.dial(both.a.line(ticket, "b"), agents)))
        await ended(answering)
        assert both.a.count.connections == 0

    async def test_a_peer_that_never_comes_is_a_reset_in_the_end(self, both, relay):
        relay.alone_s = 0.1
        own, agents = tcp_pair()
        with own:
            with pytest.raises(NotConnected, match=Joined.ALONE.name.lower()):
                await ended(both.own(both.a.dial(both.a.line(relay.issue(), "b"), agents)))
            assert await is_reset(own)

    async def test_a_relay_that_says_nothing_is_waited_for_no_longer_than_the_deadline(
        self, tmp_path, relay
    ):
        both = Both(tmp_path, relay, connect_s=0.2)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            address = f"127.0.0.1:{silent.getsockname()[1]}"
            own, agents = tcp_pair()
            line = both.a.line(relay.issue(relay_address=address), "b")
            with own:
                with pytest.raises(NotConnected):
                    await ended(both.own(both.a.dial(line, agents)))
                assert await is_reset(own)
        await both.aclose()

    async def test_a_relay_that_is_gone_is_a_reset_at_once(self, both, relay):
        ticket = relay.issue()
        await relay.stop()
        own, agents = tcp_pair()
        with own:
            with pytest.raises(NotConnected):
                await ended(both.own(both.a.dial(both.a.line(ticket, "b"), agents)))
            assert await is_reset(own)

    async def test_who_only_asks_whether_somebody_listens_shows_an_end_and_no_break(
        self, both, relay
    ):
        ticket = relay.issue()
        own, agents = tcp_pair()
        answering = both.own(both.b.answer(both.b.line(ticket, "a"), agents))
        line = both.a.line(ticket, "b")
        asking = both.own(both.a.thread.do(lambda: both.a.ends.probe(line)))
        with own:
            assert await heard(own, 1) == b""
            own.close()
            await ended(asking)
            assert await ended(answering) is Ended.DONE
        assert both.b.count.connections == 0


class TestSlow:
    async def test_who_sends_waits_for_a_slow_reader_and_little_is_kept_between(self, both):
        async with both.connection() as (own_a, own_b, _, _):
            await said(own_a, b"x")
            await heard(own_b, 1)
            sent = 0
            own_a.settimeout(0)
            loop = asyncio.get_running_loop()

            async def until_full():
                nonlocal sent
                while True:
                    sent += await loop.sock_sendall(own_a, bytes(65_536)) or 65_536

            with pytest.raises(TimeoutError):
                # All of it fits into what sockets hold, or nothing bounds it.
                await asyncio.wait_for(until_full(), 2.0)
            kernels = 8 * 6 * 1024 * 1024
            assert sent < kernels + 8 * READ_BYTES
            assert both.a.count.sent_bytes - both.b.count.received_bytes < kernels

    async def test_a_rate_holds_a_connection_back_and_another_not(self, both):
        rate = 4 * 1024 * 1024
        slow = (Valve(Bucket(lambda: rate)), Valve())
        size = 3 * 1024 * 1024
        loop = asyncio.get_running_loop()

        async def took(valves):
            async with both.connection(valves=valves) as (own_a, own_b, _, _):
                began_s = loop.time()
                sending = both.own(said(own_a, bytes(size)))
                await heard(own_b, size)
                await sending
                return loop.time() - began_s

        fast_s, slow_s = await asyncio.gather(took((Valve(), Valve())), took(slow))
        # Its size over the rate, but for the first burst and the last: after that nobody waits.
        assert slow_s > size / rate - 2 * BURST_S
        assert slow_s > fast_s


class TestSecrets:
    async def test_a_tap_on_the_relay_sees_nothing_of_it(self, both, relay):
        async with both.connection() as (own_a, own_b, _, _):
            await said(own_a, MARKER * 100)
            await heard(own_b, len(MARKER) * 100)
            await said(own_b, MARKER)
            await heard(own_a, len(MARKER))
        tapped = b"".join(piece for one in relay.tapped for piece in one)
        assert len(tapped) > len(MARKER) * 100
        assert MARKER not in tapped
        # Nor who they are.
        assert b"fedflow://party/" not in tapped

    async def test_without_identities_it_would_see_it(self, tmp_path, relay):
        both = Both(tmp_path, relay)
        async with both.connection() as (own_a, own_b, _, _):
            await said(own_a, MARKER)
            await heard(own_b, len(MARKER))
        await both.aclose()
        assert MARKER in b"".join(piece for one in relay.tapped for piece in one)

    async def test_what_was_tapped_is_good_for_nothing_again(self, both, relay):
        async with both.connection() as (own_a, own_b, _, _):
            await said(own_a, MARKER)
            await heard(own_b, len(MARKER))
        for one in list(relay.tapped):
            reader, writer = await asyncio.open_connection(*relay.address.split(":"))
            await reader.readexactly(20)
            writer.write(b"".join(one))
            assert await reader.read(1) == bytes([Joined.REFUSED])
            writer.close()
        assert relay.refused == len(relay.tapped) // 2 == 2
