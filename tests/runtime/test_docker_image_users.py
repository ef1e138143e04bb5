"""Images that name a user: who their containers are, on a real engine."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from docker.errors import APIError

from party_agent.runtime.docker_engine.runtime import DockerRuntime
from party_agent.runtime.port import Bind
from tests.images import busybox_archive
from tests.runtime.docker_support import Site, ignore, ran

pytestmark = pytest.mark.docker

NOBODY = "65532"
ACCOUNTS = "root:x:0:0::/:\napp:x:0:0::/:\nsvc:x:1234:99::/tmp:\n"

ImageOf = Callable[..., str]


@pytest.fixture
def output(tmp_path: Path) -> Bind:
    folder = tmp_path / "output"
    folder.mkdir(mode=0o700)
    return Bind(source=folder, target="/output", writable=True)


@pytest.fixture
def image_of(site: Site) -> Iterator[ImageOf]:
    """Make images with the test's own changes, and remove them."""
    made = []

    def make(tag: str, *changes: str) -> str:
        name = f"fedflow-test-users:{site.agent_key}-{tag}"
        repository, _, version = name.partition(":")
        archive = busybox_archive(ACCOUNTS)
        site.client.import_image_from_data(
            archive, repository=repository, tag=version, changes=list(changes)
        )
        made.append(name)
        return name

    yield make
    site.clean()
    for name in made:
        try:
            site.client.remove_image(name, force=True)
        except APIError:
            continue


async def test_a_harmless_name_for_root_makes_no_root(
    site: Site, docker_runtime: DockerRuntime, image_of: ImageOf, output: Bind
) -> None:
    workload = site.shell("id -u", image_url=image_of("app", "USER app"), binds=(output,))
    await ran(docker_runtime, workload)
    assert site.output(workload).split() == [NOBODY]


async def test_an_image_s_own_user_stays_and_owns_the_output(
    site: Site, docker_runtime: DockerRuntime, image_of: ImageOf, output: Bind
) -> None:
    workload = site.shell(
        "id -u; id -g; touch /output/model", image_url=image_of("svc", "USER svc"), binds=(output,)
    )
    assert (await ran(docker_runtime, workload)).exit_code == 0
    assert site.output(workload).split() == ["1234", "99"]
    owner = output.source.stat()
    assert (owner.st_uid, owner.st_gid) == (1234, 99)


async def test_looking_for_a_user_leaves_no_container(
    site: Site, docker_runtime: DockerRuntime, image_of: ImageOf
) -> None:
    image = image_of("once", "USER svc")
    await docker_runtime.prepare(site.shell("true", image_url=image), ignore)
    containers = [site.client.inspect_container(each) for each in site.leftovers()]
    assert [each["Id"] for each in containers if each["Config"]["Cmd"] == ["-"]] == []


async def test_an_image_that_says_so_gets_a_writable_root(
    site: Site, docker_runtime: DockerRuntime, image_of: ImageOf
) -> None:
    image = image_of("writable", "LABEL io.fedflow.writable-root=true")
    workload = site.shell("id -u", image_url=image)
    await ran(docker_runtime, workload)
    assert site.container(workload)["HostConfig"]["ReadonlyRootfs"] is False
    assert site.output(workload).split() == [NOBODY]
