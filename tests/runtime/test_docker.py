"""The Docker runtime keeps the port's promises on a real engine."""

from collections.abc import AsyncIterator
from pathlib import Path

import docker
import pytest
from docker.errors import NotFound

from flow_contract.ids import new_id
from party_agent.runtime.docker_engine.runtime import DockerRuntime
from party_agent.runtime.docker_engine.translate import LABEL_AGENT, container_name
from tests.engine import containers_labelled
from tests.images import ensure_busybox_image
from tests.runtime.harness import Harness
from tests.runtime.log_suite import LogBehaviour
from tests.runtime.suite import RuntimeBehaviour

pytestmark = pytest.mark.docker


class DockerHarness(Harness):
    missing_image_url = "fedflow.invalid/none:1"

    def __init__(self, folder: Path, client: docker.APIClient) -> None:
        super().__init__(folder)
        self.client = client
        self.image_url = ensure_busybox_image(client)
        self.agent_key = f"test-{new_id()}"

    def new_runtime(self) -> DockerRuntime:
        # No pool: every sandbox that is left belongs to a workload.
        return DockerRuntime(agent_key=self.agent_key, pool_size=0)

    def ended(self, party_run_id: str) -> bool:
        try:
            container = self.client.inspect_container(container_name(party_run_id))
        except NotFound:
            return True
        return not container["State"]["Running"]

    async def leftovers(self, party_run_id: str) -> list[str]:
        found = containers_labelled(self.client, LABEL_AGENT, self.agent_key)
        return [name for each in found for name in each["Names"]]


@pytest.fixture
async def harness(tmp_path: Path, engine: docker.APIClient) -> AsyncIterator[Harness]:
    harness = DockerHarness(tmp_path, engine)
    yield harness
    await harness.aclose()
    assert await harness.leftovers("") == []


class TestDockerRuntime(RuntimeBehaviour):
    pass


class TestDockerLogs(LogBehaviour):
    pass
