"""What survives: the agent's restart, the engine's silence, and other people's hands."""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flow_contract.ids import new_id
from party_agent.runtime.docker_engine import translate
from party_agent.runtime.docker_engine.runtime import DockerRuntime
from party_agent.runtime.port import Phase, RuntimeRefused
from tests.images import busybox_archive
from tests.runtime.docker_support import Site, ignore, next_exit, ran, started
from tests.runtime.engine_proxy import EngineProxy
from tests.runtime.harness import DEADLINE_S, until

pytestmark = pytest.mark.docker


async def warm(runtime: DockerRuntime, sandboxes: int = 1) -> tuple[str, ...]:
    """Return the ids of the idle sandboxes once there are so many."""
    await until(lambda: len(runtime._pool.idle) == sandboxes)
    return runtime._pool.idle


def sandbox_of(site: Site, workload) -> str:
    mode = site.container(workload)["HostConfig"]["NetworkMode"]
    return mode.removeprefix("container:")


# --- sandboxes


async def test_a_workload_joins_a_sandbox_from_the_pool_and_the_pool_fills_up_again(
    site: Site, docker_runtime: DockerRuntime
) -> None:
    (idle,) = await warm(docker_runtime)
    workload = site.workload("true")
    await ran(docker_runtime, workload)
    assert sandbox_of(site, workload) == idle
    assert await warm(docker_runtime) != (idle,)


async def test_a_restarted_agent_adopts_idle_sandboxes_and_leaves_used_ones_alone(
    site: Site, docker_runtime: DockerRuntime
) -> None:
    running = site.workload("sleep", "1000")
    await started(docker_runtime, running)
    idle = await warm(docker_runtime)
    # The first agent is still open, as one that was killed: it removes nothing.
    again = site.new_runtime()
    await again.open()
    try:
        assert again._pool.idle == idle
        assert sandbox_of(site, running) not in again._pool.idle
        await again.remove(running.party_run_id)
        assert site.leftovers(translate.ROLE_WORKLOAD) == []
    finally:
        await again.aclose()
    assert site.leftovers() == []


async def test_a_restarted_agent_removes_the_sandboxes_that_are_of_no_use(site: Site) -> None:
    first = site.new_runtime(pool_size=3)
    await first.open()
    unused = await warm(first, 3)
    # The first agent is as good as killed: it replaces nothing and removes nothing.
    first._pool._refill.cancel()
    site.client.kill(unused[0])
    again = site.new_runtime()
    await again.open()
    try:
        assert again._pool.idle[0] in unused[1:]
        assert len(site.leftovers()) == 1
    finally:
        await again.aclose()
        await first.aclose()


async def test_an_idle_sandbox_that_somebody_removes_is_replaced(
    site: Site, docker_runtime: DockerRuntime
) -> None:
    (idle,) = await warm(docker_runtime)
    site.client.remove_container(idle, force=True)
    await until(lambda: idle not in docker_runtime._pool.idle)
    (other,) = await warm(docker_runtime)
    assert other != idle


@pytest.mark.parametrize("how", ["kill", "remove"])
async def test_a_sandbox_that_is_lost_between_prepare_and_launch_is_replaced(
    site: Site, docker_runtime: DockerRuntime, how: str
) -> None:
    await warm(docker_runtime)
    workload = site.shell("ls /sys/class/net")
    await docker_runtime.prepare(workload, ignore)
    lost = sandbox_of(site, workload)
    if how == "kill":
        site.client.kill(lost)
    else:
        site.client.remove_container(lost, force=True)
    await docker_runtime.launch(workload)
    await next_exit(docker_runtime, workload)
    assert site.output(workload).split() == ["lo"]
    assert sandbox_of(site, workload) != lost
    assert lost not in site.leftovers()


@pytest.mark.parametrize("how", ["as prepared", "sandbox lost"])
async def test_a_tag_that_moves_after_the_prepare_moves_nothing(
    site: Site, docker_runtime: DockerRuntime, how: str
) -> None:
    await warm(docker_runtime)
    name = f"fedflow-test-{new_id()}"
    found = site.client.inspect_image(site.image)["Id"]
    site.client.tag(site.image, name, "approved")
    other = site.client.import_image_from_data(busybox_archive(), repository=name, tag="other")
    try:
        workload = site.shell("true", image_url=f"{name}:approved")
        digest = await docker_runtime.prepare(workload, ignore)
        site.client.tag(f"{name}:other", name, "approved")
        assert site.client.inspect_image(f"{name}:approved")["Id"] != found, other
        if how == "sandbox lost":
            # Then the container is made anew, at the launch.
            site.client.remove_container(sandbox_of(site, workload), force=True)
        await docker_runtime.launch(workload)
        await next_exit(docker_runtime, workload)
        assert site.container(workload)["Image"] == found
        seen = await docker_runtime.inspect(workload.party_run_id)
        assert seen is not None
        assert (seen.exit_code, seen.image_digest) == (0, digest)
    finally:
        await docker_runtime.remove(workload.party_run_id)
        for tag in ("approved", "other"):
            site.client.remove_image(f"{name}:{tag}", force=True)


async def test_a_sandbox_that_a_failed_prepare_gave_back_does_not_swell_the_pool(
    site: Site,
) -> None:
    runtime = site.new_runtime()
    await runtime.open()
    try:
        idle = await warm(runtime)
        with pytest.raises(RuntimeRefused):
            await runtime.prepare(site.workload("true", workdir="relative"), ignore)
        assert runtime._pool.idle == idle
        assert site.leftovers() == list(idle)
    finally:
        await runtime.aclose()


async def test_closing_removes_idle_sandboxes_and_keeps_those_in_use(site: Site) -> None:
    runtime = site.new_runtime(pool_size=2)
    await runtime.open()
    await warm(runtime, 2)
    workload = site.workload("sleep", "1000")
    await started(runtime, workload)
    await warm(runtime, 2)
    await runtime.aclose()
    assert site.leftovers(translate.ROLE_SANDBOX) == [sandbox_of(site, workload)]
    assert site.container(workload)["State"]["Running"] is True


async def test_eight_starts_at_once_each_get_a_namespace_of_their_own(site: Site) -> None:
    runtime = site.new_runtime(pool_size=3)
    await runtime.open()
    try:
        await warm(runtime, 3)
        workloads = [site.workload("sleep", "1000") for _ in range(8)]
        seen = await asyncio.gather(*(started(runtime, each) for each in workloads))
        assert {each.phase for each in seen} == {Phase.RUNNING}
        namespaces = [sandbox_of(site, each) for each in workloads]
        assert namespaces.count("none") == 5
        assert len(set(namespaces)) == 4
        await asyncio.gather(*(runtime.remove(each.party_run_id) for each in workloads))
    finally:
        await runtime.aclose()
    assert site.leftovers() == []


# --- specs


async def test_a_container_of_another_spec_that_never_started_is_replaced(
    site: Site, docker_runtime: DockerRuntime
) -> None:
    first = site.shell("exit 1")
    await docker_runtime.prepare(first, ignore)
    second = replace(first, command=("sh", "-c", "exit 2"))
    assert (await ran(docker_runtime, second)).exit_code == 2


async def test_a_container_of_another_spec_that_once_started_is_adopted(
    site: Site, docker_runtime: DockerRuntime
) -> None:
    first = site.shell("exit 1")
    await ran(docker_runtime, first)
    second = replace(first, command=("sh", "-c", "exit 2"))
    assert (await started(docker_runtime, second)).exit_code == 1


# --- other people's hands


async def test_a_container_that_somebody_removes_is_told_and_gone(
    site: Site, docker_runtime: DockerRuntime
) -> None:
    workload = site.workload("sleep", "1000")
    await started(docker_runtime, workload)
    site.client.remove_container(translate.container_name(workload.party_run_id), force=True)
    await next_exit(docker_runtime, workload)
    assert await docker_runtime.inspect(workload.party_run_id) is None
    await docker_runtime.remove(workload.party_run_id)
    await docker_runtime.aclose()
    assert site.leftovers() == []


async def test_a_container_that_somebody_kills_has_the_signals_exit_code(
    site: Site, docker_runtime: DockerRuntime
) -> None:
    workload = site.workload("sleep", "1000")
    await started(docker_runtime, workload)
    site.client.kill(translate.container_name(workload.party_run_id))
    await next_exit(docker_runtime, workload)
    seen = await docker_runtime.inspect(workload.party_run_id)
    assert seen is not None
    assert (seen.phase, seen.exit_code, seen.oom_killed) == (Phase.EXITED, 137, False)


async def test_our_own_removal_of_what_never_ran_is_no_exit(
    site: Site, docker_runtime: DockerRuntime
) -> None:
    removed = site.workload("true")
    await docker_runtime.prepare(removed, ignore)
    await docker_runtime.remove(removed.party_run_id)
    last = site.workload("true")
    await started(docker_runtime, last)
    async with asyncio.timeout(DEADLINE_S):
        assert await anext(docker_runtime.exits()) == last.party_run_id


# --- the engine falls silent


@pytest.fixture
async def proxy(site: Site, tmp_path: Path) -> AsyncIterator[EngineProxy]:
    url = site.client._custom_adapter.socket_path
    proxy = EngineProxy(tmp_path / "engine.sock", url)
    await proxy.restore()
    yield proxy
    await proxy.cut()


@pytest.fixture
def docker_py_leaves_sockets() -> Iterator[None]:
    """docker-py does not close a socket that it could not connect: collect it in here."""
    yield
    gc.collect()


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
async def test_ends_that_the_event_stream_missed_are_told_when_it_is_back(
    docker_py_leaves_sockets: None, site: Site, proxy: EngineProxy
) -> None:
    runtime = DockerRuntime(agent_key=site.agent_key, base_url=proxy.url, pool_size=1)
    await runtime.open()
    try:
        ended, removed, kept = (site.workload("sleep", "1000") for _ in range(3))
        for workload in (ended, removed, kept):
            await started(runtime, workload)
        await proxy.cut()
        site.client.kill(translate.container_name(ended.party_run_id))
        site.client.remove_container(translate.container_name(removed.party_run_id), force=True)
        await proxy.restore()
        told: set[str] = set()
        async with asyncio.timeout(DEADLINE_S):
            async for party_run_id in runtime.exits():
                told.add(party_run_id)
                if len(told) == 2:
                    break
        assert told == {ended.party_run_id, removed.party_run_id}
        # And the stream is one again: what ends now is told too.
        site.client.kill(translate.container_name(kept.party_run_id))
        await next_exit(runtime, kept)
        for workload in (ended, removed, kept):
            await runtime.remove(workload.party_run_id)
    finally:
        await runtime.aclose()
    assert site.leftovers() == []
