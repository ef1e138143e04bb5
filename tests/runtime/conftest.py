"""What the runtimes' tests share; asserts of the behaviour suite speak like a test file's."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import docker
import pytest

pytest.register_assert_rewrite(
    "tests.runtime.suite", "tests.runtime.docker_support", "tests.runtime.socket_suite"
)

from party_agent.runtime.docker_engine.runtime import DockerRuntime  # noqa: E402 - after register
from tests.chaos.images import ensure_python_image  # noqa: E402 - the same
from tests.engine import connect_or_skip  # noqa: E402 - the same
from tests.images import ensure_busybox_image  # noqa: E402 - the same
from tests.runtime.docker_support import Site  # noqa: E402 - the same


@pytest.fixture
def engine() -> Iterator[docker.APIClient]:
    """A client of the test engine; the test is skipped by name where none answers."""
    client = connect_or_skip()
    yield client
    client.close()


@pytest.fixture(scope="session")
def python_image() -> None:
    """An image with Python is on the test engine."""
    connect_or_skip().close()
    ensure_python_image()


@pytest.fixture
def site(engine: docker.APIClient, tmp_path: Path) -> Iterator[Site]:
    """An agent key of its own on the test engine; whatever carries it is removed afterwards."""
    site = Site(engine, ensure_busybox_image(engine), tmp_path)
    yield site
    site.clean()


@pytest.fixture
async def docker_runtime(site: Site) -> AsyncIterator[DockerRuntime]:
    """An open runtime of the site with one warm sandbox."""
    runtime = site.new_runtime()
    await runtime.open()
    yield runtime
    await runtime.aclose()
