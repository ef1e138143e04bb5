"""The process runtime's neighbours: addresses of this machine's loopback."""

import asyncio
import socket
import threading

import pytest
import uvloop

from flow_contract.reasons import Reason
from party_agent.runtime.port import RuntimeRefused, RuntimeUnavailable
from tests.runtime.harness import DEADLINE_S
from tests.runtime.puppets import neighbour, puppet_workload, said, say, waiting
from tests.runtime.socket_play import COORDINATOR, OWN, playing
from tests.runtime.socket_suite import SocketBehaviour
from tests.runtime.suite import ignore
from tests.runtime.test_process import ProcessHarness


class NeighbourlyProcesses(ProcessHarness):
    has_tcp = True

    def player_workload(self, own, *others):
        return puppet_workload(self, "", own, *others)

    def playing(self, workload):
        return waiting(self, workload)


@pytest.fixture
async def harness(tmp_path):
    harness = NeighbourlyProcesses(tmp_path)
    yield harness
    await harness.aclose()


class TestProcessSockets(SocketBehaviour):
    pass


@pytest.fixture
async def runtime(harness):
    runtime = harness.new_runtime()
    await runtime.open()
    yield runtime
    await runtime.aclose()


async def test_a_port_that_somebody_listens_at_is_refused_by_name(harness, runtime):
    workload = harness.player_workload(OWN, COORDINATOR)
    await runtime.prepare(workload, ignore)
    host = runtime.host_of(workload.party_run_id, COORDINATOR)
    with socket.create_server((host, 50_051)), pytest.raises(RuntimeRefused) as refused:
        await runtime.sockets(workload)
    assert f"{host}:50051" in refused.value.message
    assert "coordinator" in refused.value.message
    await (await runtime.sockets(workload)).aclose()


async def test_more_ports_than_a_machine_can_listen_at_are_refused_before_anything_starts(
    harness, runtime
):
    mesh = neighbour("party-b", 3, (32_768, 60_999))
    with pytest.raises(RuntimeRefused, match="28232 ports") as refused:
        await runtime.prepare(harness.player_workload(OWN, mesh), ignore)
    assert refused.value.reason is Reason.RUNTIME_ERROR
    assert await runtime.list() == []


def test_addresses_are_the_same_after_a_restart_and_not_those_of_another_run(harness):
    one, two = harness.new_runtime(), harness.new_runtime()
    assert one.host_of("a" * 32, OWN) == two.host_of("a" * 32, OWN)
    hosts = {one.host_of(run * 32, each) for run in "abc" for each in (OWN, COORDINATOR)}
    assert len(hosts) == 6
    assert all(host.startswith("127.") for host in hosts)


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
async def test_loops_of_other_threads_may_use_the_sockets(harness, runtime, new_loop):
    async def elsewhere(sockets, waits):
        waiter = asyncio.create_task(sockets.dialled())
        await asyncio.sleep(0)
        waits.set()
        with (await waiter).stream as stream:
            near = await sockets.dial(29_500)
            await say(near, await said(stream, 4))
            near.close()
        waiter = asyncio.create_task(sockets.dialled())
        await asyncio.sleep(0)
        waits.set()
        with pytest.raises(RuntimeUnavailable):
            await waiter
        return "ended"

    async with playing(harness, runtime) as (workload, sockets, player):
        waits = threading.Event()

        def run():
            with asyncio.Runner(loop_factory=new_loop) as runner:
                return runner.run(elsewhere(sockets, waits))

        accept = await player.listen(runtime.host_of(workload.party_run_id, OWN), 29_500)
        thread = asyncio.create_task(asyncio.to_thread(run))
        await asyncio.to_thread(waits.wait, DEADLINE_S)
        waits.clear()
        stream = await player.connect(runtime.host_of(workload.party_run_id, COORDINATOR), 50_051)
        await say(stream, b"word")
        assert await said(await accept(), 4) == b"word"
        await asyncio.to_thread(waits.wait, DEADLINE_S)
        await sockets.aclose()
        assert await asyncio.wait_for(thread, DEADLINE_S) == "ended"
