"""What the Docker runtime cleans up, and what of others' it leaves alone."""

import asyncio
from collections.abc import Iterator

import docker
import pytest
from docker.errors import ImageNotFound

from flow_contract.ids import new_id
from party_agent.runtime.docker_engine import translate
from party_agent.runtime.docker_engine.runtime import DockerRuntime
from party_agent.runtime.docker_engine.sandbox import sandbox_body
from party_agent.runtime.port import PulledImage
from tests.images import busybox_archive
from tests.runtime.docker_support import Site, ignore, next_exit, started
from tests.runtime.harness import DEADLINE_S, until
from tests.runtime.registry import Registry, serving

pytestmark = pytest.mark.docker


def has_image(client: docker.APIClient, reference: str) -> bool:
    try:
        client.inspect_image(reference)
    except ImageNotFound:
        return False
    return True


@pytest.fixture
def image_url(site: Site) -> Iterator[str]:
    """The name of an image that is in a registry and not yet on the engine."""
    archive = busybox_archive() + new_id().encode() * 16
    registry = Registry(archive, architecture=site.client.version()["Arch"])
    with serving(registry) as address:
        image_url = f"{address}/fedflow-test/{new_id()}:1"
        yield image_url
        if has_image(site.client, image_url):
            site.client.remove_image(image_url, force=True)


async def next_pull(runtime: DockerRuntime) -> PulledImage:
    async with asyncio.timeout(DEADLINE_S):
        return await anext(runtime.pulls())


async def test_a_pull_is_told_with_the_engine_s_id_and_once(
    site: Site, docker_runtime: DockerRuntime, image_url: str
) -> None:
    await docker_runtime.prepare(site.workload("true", image_url=image_url), ignore)
    await docker_runtime.prepare(site.workload("true", image_url=image_url), ignore)
    await docker_runtime.prepare(site.workload("true"), ignore)
    image_id = site.client.inspect_image(image_url)["Id"]
    assert await next_pull(docker_runtime) == PulledImage(reference=image_url, image_id=image_id)
    await docker_runtime.aclose()
    assert [image async for image in docker_runtime.pulls()] == []


async def test_an_image_that_no_container_uses_is_removed(
    site: Site, docker_runtime: DockerRuntime, image_url: str
) -> None:
    workload = site.workload("true", image_url=image_url)
    await started(docker_runtime, workload)
    await next_exit(docker_runtime, workload)
    image = await next_pull(docker_runtime)
    assert not await docker_runtime.remove_image(image)
    await docker_runtime.remove(workload.party_run_id)
    assert await docker_runtime.remove_image(image)
    assert not has_image(site.client, image_url)
    assert await docker_runtime.remove_image(image)


async def test_an_image_that_somebody_else_s_container_uses_stays(
    site: Site, docker_runtime: DockerRuntime, image_url: str
) -> None:
    workload = site.workload("true", image_url=image_url)
    await docker_runtime.prepare(workload, ignore)
    await docker_runtime.remove(workload.party_run_id)
    # Never started, and under another name of the image: it is a use all the same.
    repository = f"fedflow-test-{new_id()}"
    site.client.tag(image_url, repository, "1")
    foreign = site.client.create_container(f"{repository}:1", ["true"])["Id"]
    try:
        assert not await docker_runtime.remove_image(await next_pull(docker_runtime))
        assert has_image(site.client, image_url)
    finally:
        site.client.remove_container(foreign)
        site.client.remove_image(f"{repository}:1")


async def test_another_name_of_the_image_stays(
    site: Site, docker_runtime: DockerRuntime, image_url: str
) -> None:
    workload = site.workload("true", image_url=image_url)
    await docker_runtime.prepare(workload, ignore)
    await docker_runtime.remove(workload.party_run_id)
    repository = f"fedflow-test-{new_id()}"
    site.client.tag(image_url, repository, "1")
    try:
        assert await docker_runtime.remove_image(await next_pull(docker_runtime))
        assert not has_image(site.client, image_url)
        assert has_image(site.client, f"{repository}:1")
    finally:
        site.client.remove_image(f"{repository}:1")


async def test_a_name_that_means_another_image_by_now_stays(
    site: Site, docker_runtime: DockerRuntime, image_url: str
) -> None:
    workload = site.workload("true", image_url=image_url)
    await docker_runtime.prepare(workload, ignore)
    await docker_runtime.remove(workload.party_run_id)
    image = await next_pull(docker_runtime)
    repository, _, tag = image_url.rpartition(":")
    site.client.tag(site.image, repository, tag, force=True)
    assert await docker_runtime.remove_image(image)
    assert has_image(site.client, image_url)
    site.client.remove_image(image.image_id)


async def test_an_image_that_a_start_needs_just_now_is_not_removed(
    site: Site, docker_runtime: DockerRuntime, image_url: str
) -> None:
    first = site.workload("true", image_url=image_url)
    await docker_runtime.prepare(first, ignore)
    await docker_runtime.remove(first.party_run_id)
    image = await next_pull(docker_runtime)
    for turns in range(0, 40, 4):
        workload = site.workload("true", image_url=image_url)
        preparing = asyncio.create_task(docker_runtime.prepare(workload, ignore))
        for _ in range(turns):
            await asyncio.sleep(0)
        await docker_runtime.remove_image(image)
        # Whichever came first, a start is never told that its image is missing.
        await preparing
        await docker_runtime.remove(workload.party_run_id)


async def test_tidying_removes_only_sandboxes_of_ours_that_belong_to_nothing(site: Site) -> None:
    runtime = site.new_runtime()
    await runtime.open()
    other = f"test-{new_id()}"
    pause = runtime._pool._image
    theirs = site.client.create_container_from_config(sandbox_body(pause, other))["Id"]
    foreign = site.client.create_container(site.image, ["sleep", "1000"])["Id"]
    try:
        prepared, running = site.workload("true"), site.workload("sleep", "1000")
        await runtime.prepare(prepared, ignore)
        await started(runtime, running)
        await until(lambda: len(runtime._pool.idle) == 1)
        before = set(site.leftovers())
        body = sandbox_body(pause, site.agent_key)
        left_over = site.client.create_container_from_config(body)["Id"]
        await runtime.tidy()
        # It could be that of a start which is just under way.
        assert set(site.leftovers()) == {*before, left_over}
        await runtime.tidy()
        assert set(site.leftovers()) == before
        for container in (theirs, foreign):
            site.client.inspect_container(container)
        assert len(site.leftovers(translate.ROLE_WORKLOAD)) == 2
    finally:
        for container in (theirs, foreign):
            site.client.remove_container(container, force=True)
        for workload in (prepared, running):
            await runtime.remove(workload.party_run_id)
        await runtime.aclose()


async def test_a_long_stop_holds_nothing_up(site: Site, docker_runtime: DockerRuntime) -> None:
    stubborn = site.shell("trap '' TERM; echo ready; while :; do sleep 0.1; done")
    await started(docker_runtime, stubborn)
    await until(lambda: "ready" in site.output(stubborn))
    stopping = asyncio.create_task(docker_runtime.stop(stubborn.party_run_id, 600))
    other = site.workload("true")
    await started(docker_runtime, other)
    await next_exit(docker_runtime, other)
    assert not stopping.done()
    site.client.kill(translate.container_name(stubborn.party_run_id))
    await stopping
