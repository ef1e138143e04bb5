"""What the Docker runtime's tests share: engine, image, and workloads that clean up."""

import asyncio
from pathlib import Path
from typing import Any

import docker
from docker.errors import NotFound

from flow_contract.ids import new_id
from flow_contract.templates import Network, Resources
from party_agent.runtime.confinement import Confinement
from party_agent.runtime.docker_engine.cage import Cage
from party_agent.runtime.docker_engine.runtime import DockerRuntime
from party_agent.runtime.docker_engine.translate import LABEL_AGENT, LABEL_ROLE, container_name
from party_agent.runtime.port import Bind, Observation, Phase, Workload
from tests.engine import containers_labelled
from tests.runtime.harness import DEADLINE_S

# Rights that create calls of tests ask for.
CAGE = Cage(
    user="65532:65532",
    groups=(),
    home="/tmp",  # noqa: S108 - of the container
    read_only_root=True,
    tmp_bytes=1024**3,
    pids=100,
    owner=(65532, 65532),
)


class Site:
    """One agent key on the test engine, and everything that its agents leave there."""

    def __init__(self, client: docker.APIClient, image: str, folder: Path) -> None:
        self.client = client
        self.image = image
        self.folder = folder
        self.agent_key = f"test-{new_id()}"

    def new_runtime(
        self, *, pool_size: int = 1, confinement: Confinement | None = None
    ) -> DockerRuntime:
        return DockerRuntime(agent_key=self.agent_key, pool_size=pool_size, confinement=confinement)

    def workload(
        self,
        *command: str,
        party_run_id: str = "",
        image_url: str = "",
        workdir: str = "/tmp",  # noqa: S108 - of the container
        env: dict[str, str] | None = None,
        binds: tuple[Bind, ...] = (),
        resources: Resources | None = None,
        gpu_ids: tuple[str, ...] = (),
        user: str = "",
        network: Network = Network.NONE,
    ) -> Workload:
        return Workload(
            party_run_id=party_run_id or new_id(),
            image_url=image_url or self.image,
            workdir=workdir,
            command=command,
            env=env or {},
            binds=binds,
            resources=resources or Resources(),
            gpu_ids=gpu_ids,
            user=user,
            network=network,
            labels={"fedflow.test": "docker"},
        )

    def shell(self, script: str, **kwargs: Any) -> Workload:
        return self.workload("sh", "-c", script, **kwargs)

    def container(self, workload: Workload) -> dict[str, Any]:
        return self.client.inspect_container(container_name(workload.party_run_id))

    def exists(self, workload: Workload) -> bool:
        try:
            self.container(workload)
        except NotFound:
            return False
        return True

    def output(self, workload: Workload) -> str:
        return self.client.logs(container_name(workload.party_run_id)).decode()

    def leftovers(self, role: str | None = None) -> list[str]:
        found = containers_labelled(self.client, LABEL_AGENT, self.agent_key)
        return [each["Id"] for each in found if role in (None, each["Labels"][LABEL_ROLE])]

    def clean(self) -> None:
        for container_id in self.leftovers():
            try:
                self.client.remove_container(container_id, force=True, v=True)
            except NotFound:
                continue


def make_workload(
    *,
    user: str = "",
    binds: tuple[Bind, ...] = (),
    network: Network = Network.NONE,
    env: dict[str, str] | None = None,
    pids: int | None = None,
    memory_bytes: int | None = None,
    gpu_ids: tuple[str, ...] = (),
) -> Workload:
    """Return a workload that no engine is asked to run."""
    return Workload(
        party_run_id="0" * 32,
        image_url="image:1",
        workdir="",
        command=("true",),
        env=env or {},
        binds=binds,
        resources=Resources(pids=pids, memory_bytes=memory_bytes),
        gpu_ids=gpu_ids,
        user=user,
        network=network,
        labels={},
    )


def ignore(reason: object, message: str) -> None:
    """Take progress and do nothing with it."""


async def started(runtime: DockerRuntime, workload: Workload) -> Observation:
    await runtime.prepare(workload, ignore)
    return await runtime.launch(workload)


async def next_exit(runtime: DockerRuntime, workload: Workload) -> None:
    """Return once `exits` names the workload."""
    async with asyncio.timeout(DEADLINE_S):
        async for party_run_id in runtime.exits():
            if party_run_id == workload.party_run_id:
                return


async def ran(runtime: DockerRuntime, workload: Workload) -> Observation:
    """Run the workload to its end and return what is left of it to see."""
    await started(runtime, workload)
    await next_exit(runtime, workload)
    seen = await runtime.inspect(workload.party_run_id)
    assert seen is not None
    assert seen.phase is Phase.EXITED
    return seen
