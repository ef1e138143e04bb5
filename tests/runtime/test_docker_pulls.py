"""Pulls from a registry that a test serves on the loopback."""

import pytest
from docker.errors import ImageNotFound

from flow_contract.ids import new_id
from flow_contract.reasons import Reason
from party_agent.runtime.docker_engine.runtime import DockerRuntime
from party_agent.runtime.port import RuntimeRefused
from tests.images import busybox_archive
from tests.runtime.docker_support import Site, ignore, next_exit
from tests.runtime.registry import Registry, digest_of, serving

pytestmark = pytest.mark.docker


@pytest.fixture
def architecture(site: Site) -> str:
    return site.client.version()["Arch"]


async def test_an_image_that_is_missing_is_pulled_visibly_and_run(
    site: Site, docker_runtime: DockerRuntime, architecture: str
) -> None:
    registry = Registry(busybox_archive(), architecture=architecture)
    told: list[tuple[Reason, str]] = []
    with serving(registry) as address:
        image_url = f"{address}/fedflow-test/{new_id()}:1"
        workload = site.workload("true", image_url=image_url)
        try:
            digest = await docker_runtime.prepare(
                workload, lambda reason, text: told.append((reason, text))
            )
            assert digest == digest_of(registry.manifest)
            assert told == [
                (Reason.PULLING_IMAGE, f"Pulling {image_url}"),
                (Reason.PULLING_IMAGE, f"Pulling {image_url}: 1 of 1 layers"),
            ]
            await docker_runtime.launch(workload)
            await next_exit(docker_runtime, workload)
            seen = await docker_runtime.inspect(workload.party_run_id)
            assert seen is not None
            assert (seen.exit_code, seen.image_digest) == (0, digest)
        finally:
            await docker_runtime.remove(workload.party_run_id)
            site.client.remove_image(image_url, force=True)


async def test_an_image_that_the_registry_does_not_have_is_not_found(
    site: Site, docker_runtime: DockerRuntime, architecture: str
) -> None:
    with serving(Registry(busybox_archive(), architecture=architecture)) as address:
        workload = site.workload("true", image_url=f"{address}/fedflow-test/{new_id()}:2")
        with pytest.raises(RuntimeRefused) as caught:
            await docker_runtime.prepare(workload, ignore)
    assert caught.value.reason is Reason.IMAGE_NOT_FOUND


async def test_a_pull_that_breaks_off_is_a_failed_pull(
    site: Site, docker_runtime: DockerRuntime, architecture: str
) -> None:
    # A layer that no other test has: the engine does not ask for what it holds already.
    archive = busybox_archive() + new_id().encode() * 16
    registry = Registry(archive, architecture=architecture, lacks_layer=True)
    with serving(registry) as address:
        workload = site.workload("true", image_url=f"{address}/fedflow-test/{new_id()}:1")
        with pytest.raises(RuntimeRefused) as caught:
            await docker_runtime.prepare(workload, ignore)
        with pytest.raises(ImageNotFound):
            site.client.inspect_image(workload.image_url)
    assert caught.value.reason is Reason.IMAGE_PULL_FAILED
