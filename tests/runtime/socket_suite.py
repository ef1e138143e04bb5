"""What every runtime must do for workloads that have neighbours.

A test file per runtime subclasses this with its `harness` fixture, a `Neighbourly`.
"""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from party_agent.runtime.port import Dialled, Runtime, RuntimeUnavailable
from tests.runtime.harness import DEADLINE_S
from tests.runtime.puppets import break_off, is_reset, said, say
from tests.runtime.socket_play import (
    COORDINATOR,
    OTHER,
    OWN,
    Neighbourly,
    next_dialled,
    pair,
    playing,
)


class SocketBehaviour:
    """Subclasses give a `harness` fixture."""

    @pytest.fixture
    async def runtime(self, harness: Neighbourly) -> AsyncIterator[Runtime]:
        runtime = harness.new_runtime()
        await runtime.open()
        yield runtime
        await runtime.aclose()

    # --- the workload dials

    async def test_a_neighbour_is_reached_by_its_host_and_port(
        self, harness: Neighbourly, runtime: Runtime
    ) -> None:
        async with playing(harness, runtime) as (workload, sockets, player):
            host = runtime.host_of(workload.party_run_id, COORDINATOR)
            stream, dialled = await pair(player, sockets, host, 50_051)
            with dialled.stream:
                assert (dialled.neighbour, dialled.port) == ("coordinator", 50_051)
                await say(stream, b"ping")
                assert await said(dialled.stream, 4) == b"ping"
                await say(dialled.stream, b"pong")
                assert await said(stream, 4) == b"pong"

    async def test_each_neighbour_and_each_port_of_a_range_is_told_apart(
        self, harness: Neighbourly, runtime: Runtime
    ) -> None:
        async with playing(harness, runtime) as (workload, sockets, player):
            host = runtime.host_of(workload.party_run_id, OTHER)
            for port in (29_500, 40_000, 40_001, 40_003):
                _, dialled = await pair(player, sockets, host, port)
                dialled.stream.close()
                assert (dialled.neighbour, dialled.port) == ("party-b", port)

    async def test_a_port_that_is_not_declared_is_refused(
        self, harness: Neighbourly, runtime: Runtime
    ) -> None:
        async with playing(harness, runtime) as (workload, _, player):
            for known, port in ((COORDINATOR, 29_500), (OTHER, 50_051), (OTHER, 40_004)):
                with pytest.raises(ConnectionRefusedError):
                    await player.connect(runtime.host_of(workload.party_run_id, known), port)

    async def test_what_dials_before_anybody_asks_waits(
        self, harness: Neighbourly, runtime: Runtime
    ) -> None:
        async with playing(harness, runtime) as (workload, sockets, player):
            host = runtime.host_of(workload.party_run_id, COORDINATOR)
            streams = [await player.connect(host, 50_051) for _ in range(3)]
            for number, stream in enumerate(streams):
                await say(stream, bytes([number]))
            heard = set()
            for _ in streams:
                with (await next_dialled(sockets)).stream as agents:
                    heard.add(await said(agents, 1))
            assert heard == {b"\0", b"\1", b"\2"}

    async def test_a_wait_that_is_cancelled_loses_no_connection(
        self, harness: Neighbourly, runtime: Runtime
    ) -> None:
        async with playing(harness, runtime) as (workload, sockets, player):
            host = runtime.host_of(workload.party_run_id, COORDINATOR)
            for _ in range(3):
                waiter = asyncio.create_task(sockets.dialled())
                await asyncio.sleep(0)
                stream = await player.connect(host, 50_051)
                waiter.cancel()
                done = (await asyncio.gather(waiter, return_exceptions=True))[0]
                found = done if isinstance(done, Dialled) else await next_dialled(sockets)
                with found.stream as agents:
                    await say(stream, b"x")
                    assert await said(agents, 1) == b"x"

    # --- what TCP says

    async def test_each_side_may_end_its_own_direction_first(
        self, harness: Neighbourly, runtime: Runtime
    ) -> None:
        async with playing(harness, runtime) as (workload, sockets, player):
            host = runtime.host_of(workload.party_run_id, COORDINATOR)
            for ends_first in ("workload", "agent"):
                stream, dialled = await pair(player, sockets, host, 50_051)
                with dialled.stream as agents:
                    one, two = (stream, agents) if ends_first == "workload" else (agents, stream)
                    await say(one, b"last words")
                    one.shutdown(socket.SHUT_WR)
                    assert await said(two, 100) == b"last words"
                    await say(two, b"answer")
                    two.shutdown(socket.SHUT_WR)
                    assert await said(one, 100) == b"answer"

    async def test_single_bytes_arrive_in_order(
        self, harness: Neighbourly, runtime: Runtime
    ) -> None:
        async with playing(harness, runtime) as (workload, sockets, player):
            host = runtime.host_of(workload.party_run_id, COORDINATOR)
            stream, dialled = await pair(player, sockets, host, 50_051)
            with dialled.stream as agents:
                for byte in range(100):
                    await say(stream, bytes([byte]))
                    assert await said(agents, 1) == bytes([byte])
                    await say(agents, bytes([byte]))
                    assert await said(stream, 1) == bytes([byte])

    async def test_a_reset_is_a_reset_at_the_other_side(
        self, harness: Neighbourly, runtime: Runtime
    ) -> None:
        if not harness.has_tcp:
            pytest.skip("pairs of unix sockets know no reset")
        async with playing(harness, runtime) as (workload, sockets, player):
            host = runtime.host_of(workload.party_run_id, COORDINATOR)
            stream, dialled = await pair(player, sockets, host, 50_051)
            break_off(stream)
            with dialled.stream as agents:
                assert await is_reset(agents)
            stream, dialled = await pair(player, sockets, host, 50_051)
            break_off(dialled.stream)
            assert await is_reset(stream)

    async def test_who_does_not_read_holds_the_writer_up(
        self, harness: Neighbourly, runtime: Runtime
    ) -> None:
        async with playing(harness, runtime) as (workload, sockets, player):
            host = runtime.host_of(workload.party_run_id, COORDINATOR)
            stream, dialled = await pair(player, sockets, host, 50_051)
            with dialled.stream as agents:
                size = 64 * 2**20
                writing = asyncio.create_task(say(stream, bytes(size)))
                got = len(await said(agents, 2**20))
                assert not writing.done()
                while got < size:
                    got += len(await said(agents, min(2**20, size - got)))
                await writing
                assert got == size

    # --- the workload listens

    async def test_the_agent_reaches_what_the_workload_listens_at(
        self, harness: Neighbourly, runtime: Runtime
    ) -> None:
        async with playing(harness, runtime) as (workload, sockets, player):
            own = runtime.host_of(workload.party_run_id, OWN)
            accept = await player.listen(own, 40_002)
            stream, agents = await asyncio.gather(accept(), sockets.dial(40_002))
            with agents:
                await say(agents, b"ping")
                assert await said(stream, 4) == b"ping"
                await say(stream, b"pong")
                stream.shutdown(socket.SHUT_WR)
                assert await said(agents, 100) == b"pong"

    async def test_where_nobody_listens_the_agent_is_refused(
        self, harness: Neighbourly, runtime: Runtime
    ) -> None:
        async with playing(harness, runtime) as (_, sockets, _):
            with pytest.raises(ConnectionRefusedError):
                await sockets.dial(29_500)

    async def test_hundreds_are_dialled_at_once(
        self, harness: Neighbourly, runtime: Runtime
    ) -> None:
        async with playing(harness, runtime) as (workload, sockets, player):
            accept = await player.listen(runtime.host_of(workload.party_run_id, OWN), 29_500)

            async def echo() -> None:
                stream = await accept()
                await say(stream, await said(stream, 2))

            async def ask(number: int) -> bool:
                with await sockets.dial(29_500) as stream:
                    await say(stream, number.to_bytes(2))
                    return await said(stream, 2) == number.to_bytes(2)

            async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
                for _ in range(300):
                    group.create_task(echo())
                asked = [group.create_task(ask(number)) for number in range(300)]
            assert all(task.result() for task in asked)

    async def test_the_workload_reaches_itself_by_its_own_host(
        self, harness: Neighbourly, runtime: Runtime
    ) -> None:
        if not harness.has_tcp:
            pytest.skip("a script can't reach itself")
        async with playing(harness, runtime) as (workload, _, player):
            own = runtime.host_of(workload.party_run_id, OWN)
            accept = await player.listen(own, 29_500)
            stream, accepted = await asyncio.gather(player.connect(own, 29_500), accept())
            await say(stream, b"me")
            assert await said(accepted, 2) == b"me"

    # --- their ends

    async def test_after_a_restart_the_sockets_are_opened_again(
        self, harness: Neighbourly, runtime: Runtime
    ) -> None:
        async with playing(harness, runtime) as (workload, before, player):
            host = runtime.host_of(workload.party_run_id, COORDINATOR)
            await runtime.aclose()
            with pytest.raises(RuntimeUnavailable):
                await before.dialled()
            with pytest.raises(ConnectionRefusedError):
                await player.connect(host, 50_051)
            again = harness.new_runtime()
            await again.open()
            try:
                sockets = await again.sockets(workload)
                _, dialled = await pair(player, sockets, host, 50_051)
                dialled.stream.close()
                assert (dialled.neighbour, dialled.port) == ("coordinator", 50_051)
                accept = await player.listen(again.host_of(workload.party_run_id, OWN), 29_500)
                stream, agents = await asyncio.gather(accept(), sockets.dial(29_500))
                agents.close()
                assert await said(stream, 1) == b""
            finally:
                await again.aclose()

    async def test_sockets_that_are_opened_again_take_the_place_of_the_old_ones(
        self, harness: Neighbourly, runtime: Runtime
    ) -> None:
        async with playing(harness, runtime) as (workload, before, player):
            host = runtime.host_of(workload.party_run_id, COORDINATOR)
            kept, dialled_before = await pair(player, before, host, 50_051)
            after = await runtime.sockets(workload)
            with pytest.raises(RuntimeUnavailable):
                await before.dialled()
            _, dialled = await pair(player, after, host, 50_051)
            dialled.stream.close()
            # What was handed out is nobody's but who got it.
            with dialled_before.stream as agents:
                await say(kept, b"still here")
                assert await said(agents, 10) == b"still here"

    async def test_closing_lets_those_go_who_wait_and_may_be_repeated(
        self, harness: Neighbourly, runtime: Runtime
    ) -> None:
        async with playing(harness, runtime) as (_, sockets, _):
            waiters = [asyncio.create_task(sockets.dialled()) for _ in range(2)]
            await asyncio.sleep(0)
            await sockets.aclose()
            await sockets.aclose()
            async with asyncio.timeout(DEADLINE_S):
                ends = await asyncio.gather(*waiters, return_exceptions=True)
            assert [type(end) for end in ends] == [RuntimeUnavailable, RuntimeUnavailable]

    async def test_removing_the_workload_ends_its_sockets_and_leaves_nothing(
        self, harness: Neighbourly, runtime: Runtime
    ) -> None:
        async with playing(harness, runtime) as (workload, sockets, _):
            waiter = asyncio.create_task(sockets.dialled())
            await asyncio.sleep(0)
            await runtime.remove(workload.party_run_id)
            with pytest.raises(RuntimeUnavailable):
                await asyncio.wait_for(waiter, DEADLINE_S)
            assert await harness.leftovers(workload.party_run_id) == []

    # --- two of one run

    async def test_two_party_runs_of_a_run_on_one_machine_never_meet(
        self, harness: Neighbourly, runtime: Runtime
    ) -> None:
        async with (
            playing(harness, runtime, OWN, COORDINATOR, OTHER) as (first, firsts, player_a),
            playing(harness, runtime, OTHER, COORDINATOR, OWN) as (second, seconds, player_b),
        ):
            accept = await player_b.listen(runtime.host_of(second.party_run_id, OTHER), 29_500)
            host = runtime.host_of(first.party_run_id, OTHER)
            _, dialled = await pair(player_a, firsts, host, 29_500)
            dialled.stream.close()
            assert (dialled.neighbour, dialled.port) == ("party-b", 29_500)
            with pytest.raises(ConnectionRefusedError):
                await firsts.dial(29_500)
            stream, agents = await asyncio.gather(accept(), seconds.dial(29_500))
            agents.close()
            assert await said(stream, 1) == b""
