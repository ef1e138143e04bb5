"""Neighbours of containers, with the agent's sockets made in both ways."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import docker
import pytest

from party_agent.runtime.docker_engine.network_bodies import network_name, sidecar_name
from party_agent.runtime.docker_engine.runtime import DockerRuntime
from party_agent.runtime.neighbours.ways import Way, Ways
from party_agent.runtime.port import Neighbour, Runtime, RuntimeUnavailable, Workload
from tests.chaos.images import PYTHON_IMAGE
from tests.runtime.harness import DEADLINE_S, until
from tests.runtime.puppets import neighbour, puppet_workload, said, waiting
from tests.runtime.socket_play import COORDINATOR, OTHER, OWN, pair, playing
from tests.runtime.socket_suite import SocketBehaviour
from tests.runtime.suite import ignore
from tests.runtime.test_docker import DockerHarness

pytestmark = pytest.mark.docker

WAYS = [Way.NAMESPACE, Way.SIDECAR]


class NeighbourlyContainers(DockerHarness):
    has_tcp = True

    def __init__(self, folder: Path, client: docker.APIClient, way: Way) -> None:
        super().__init__(folder, client)
        self.way = way

    def ways(self) -> Ways:
        return Ways(way=self.way, sidecar_image=PYTHON_IMAGE, folder=self.folder / "sockets")

    def new_runtime(self) -> DockerRuntime:
        return DockerRuntime(agent_key=self.agent_key, pool_size=0, ways=self.ways())

    def player_workload(self, own: Neighbour, *others: Neighbour) -> Workload:
        return puppet_workload(self, PYTHON_IMAGE, own, *others)

    def playing(self, workload: Workload) -> Any:
        return waiting(self, workload)

    async def leftovers(self, party_run_id: str) -> list[str]:
        folders = (self.folder / "sockets").glob("*")
        return [*await super().leftovers(party_run_id), *(each.name for each in folders)]


def threads() -> list[str]:
    names = [each.name for each in threading.enumerate()]
    return [name for name in names if name.startswith(("netns-", "sidecar-"))]


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture(params=WAYS)
async def harness(
    tmp_path: Path, engine: docker.APIClient, python_image: None, request: pytest.FixtureRequest
) -> AsyncIterator[NeighbourlyContainers]:
    harness = NeighbourlyContainers(tmp_path, engine, request.param)
    yield harness
    await harness.aclose()
    assert await harness.leftovers("") == []


class TestDockerSockets(SocketBehaviour):
    async def test_names_are_those_of_the_run_and_its_own_is_the_machine_s(
        self, harness: NeighbourlyContainers, runtime: Runtime
    ) -> None:
        async with playing(harness, runtime) as (_, _, player):
            assert await player.result("hostname") == "party-a"
            for name, address in (
                ("coordinator", "127.1.0.1"),
                ("party-a", "127.1.0.2"),
                ("party-b", "127.1.0.3"),
            ):
                assert await player.result("look_up", host=name, port=1) == [address]

    async def test_a_party_of_a_long_name_finds_itself_by_its_machine_s(
        self, harness: NeighbourlyContainers, runtime: Runtime
    ) -> None:
        own = neighbour("party-" + "A_b.c" * 12, 2, 29_500)
        async with playing(harness, runtime, own, COORDINATOR) as (_, _, player):
            name = await player.result("hostname")
            assert await player.result("look_up", host=name, port=1) == ["127.1.0.2"]
            assert await player.result("look_up", host=own.name, port=1) == ["127.1.0.2"]

    async def test_a_workload_may_listen_everywhere_at_a_port_of_its_neighbours(
        self, harness: NeighbourlyContainers, runtime: Runtime
    ) -> None:
        async with playing(harness, runtime) as (_, sockets, player):
            accept = await player.listen("0.0.0.0", 29_500)  # noqa: S104 - in the container
            _, dialled = await pair(player, sockets, "party-b", 29_500)
            dialled.stream.close()
            assert (dialled.neighbour, dialled.port) == ("party-b", 29_500)
            stream, agents = await asyncio.gather(accept(), sockets.dial(29_500))
            agents.close()
            assert await said(stream, 1) == b""
            # A neighbour's port that is not declared is not the workload's own either.
            await player.listen("0.0.0.0", 50_052)  # noqa: S104 - in the container
            with pytest.raises(ConnectionRefusedError):
                await player.connect("party-b", 50_052)

    async def test_a_workload_that_listens_at_localhost_only_is_reached(
        self, harness: NeighbourlyContainers, runtime: Runtime
    ) -> None:
        async with playing(harness, runtime) as (_, sockets, player):
            accept = await player.listen("127.0.0.1", 29_500)
            stream, agents = await asyncio.gather(accept(), sockets.dial(29_500))
            agents.close()
            assert await said(stream, 1) == b""

    async def test_a_range_of_28000_ports_costs_nothing(
        self, harness: NeighbourlyContainers, runtime: Runtime
    ) -> None:
        wide = [neighbour(f"party-{rank}", rank + 2, (32_768, 60_999)) for rank in range(40)]
        async with playing(harness, runtime, wide[0], *wide[1:]) as (_, sockets, player):
            for host, port in (("party-1", 32_768), ("party-39", 60_999), ("party-20", 45_678)):
                _, dialled = await pair(player, sockets, host, port)
                dialled.stream.close()
                assert (dialled.neighbour, dialled.port) == (host, port)
            with pytest.raises(ConnectionRefusedError):
                await player.connect("party-39", 61_000)

    async def test_the_agent_s_listener_itself_takes_nobody(
        self, harness: NeighbourlyContainers, runtime: Runtime
    ) -> None:
        async with playing(harness, runtime) as (_, sockets, player):
            stream = await player.connect("127.255.255.254", 65_535)
            _, dialled = await pair(player, sockets, "coordinator", 50_051)
            dialled.stream.close()
            assert dialled.neighbour == "coordinator"
            assert await said(stream, 1) == b""

    async def test_when_the_network_is_lost_the_sockets_say_so(
        self, harness: NeighbourlyContainers, runtime: Runtime
    ) -> None:
        async with playing(harness, runtime) as (workload, sockets, _):
            waiter = asyncio.create_task(sockets.dialled())
            await asyncio.sleep(0)
            lost = network_name if harness.way is Way.NAMESPACE else sidecar_name
            harness.client.kill(lost(workload.party_run_id))
            async with asyncio.timeout(DEADLINE_S):
                with pytest.raises(RuntimeUnavailable):
                    await waiter
            with pytest.raises(RuntimeUnavailable):
                await sockets.dial(29_500)

    async def test_what_a_crash_left_of_a_prepare_is_adopted_or_removed(
        self, harness: NeighbourlyContainers, runtime: Runtime
    ) -> None:
        workload = harness.player_workload(OWN, COORDINATOR, OTHER)
        await runtime.prepare(workload, ignore)
        before = harness.client.inspect_container(network_name(workload.party_run_id))["Id"]
        harness.client.remove_container(f"fedflow-{workload.party_run_id}")
        await runtime.prepare(workload, ignore)
        after = harness.client.inspect_container(network_name(workload.party_run_id))["Id"]
        assert after == before
        await runtime.sockets(workload)
        harness.client.remove_container(f"fedflow-{workload.party_run_id}")
        await runtime.tidy()
        await runtime.tidy()
        assert await harness.leftovers("") == []

    async def test_other_neighbours_are_another_workload(
        self, harness: NeighbourlyContainers, runtime: Runtime
    ) -> None:
        workload = harness.player_workload(OWN, COORDINATOR)
        await runtime.prepare(workload, ignore)
        changed = harness.player_workload(OWN, COORDINATOR, OTHER)
        workload = type(workload)(**{**vars(workload), "neighbours": changed.neighbours})
        await runtime.prepare(workload, ignore)
        hosts = harness.client.inspect_container(network_name(workload.party_run_id))
        assert "party-b:127.1.0.3" in hosts["HostConfig"]["ExtraHosts"]

    async def test_what_was_opened_and_closed_costs_nothing_any_more(
        self, harness: NeighbourlyContainers, runtime: Runtime
    ) -> None:
        async with playing(harness, runtime) as (workload, _, player):
            accept = await player.listen("party-a", 29_500)

            async def round_of_all() -> None:
                sockets = await runtime.sockets(workload)
                waiter = asyncio.create_task(sockets.dialled())
                near, far = await asyncio.gather(accept(), sockets.dial(29_500))
                stream = await player.connect("coordinator", 50_051)
                for each in ((await waiter).stream, near, far, stream):
                    each.close()
                waiter = asyncio.create_task(sockets.dialled())
                await asyncio.sleep(0)
                waiter.cancel()
                await asyncio.wait([waiter])
                await sockets.aclose()

            for _ in range(5):
                await round_of_all()
            await until(lambda: not threads())
            before = descriptors()
            for _ in range(50):
                await round_of_all()
            await until(lambda: not threads())
            assert descriptors() <= before
