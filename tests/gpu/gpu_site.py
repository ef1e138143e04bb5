"""A site on the second engine: the agent's own units over the Docker runtime, without a server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from docker.models.containers import Container

from flow_contract.assignments import Assignment, Report, WorkloadSpec
from flow_contract.ids import new_id
from flow_contract.lifecycle import Desired, PartyRunState, is_final
from flow_contract.templates import GpuRequest, Resources
from party_agent.clock import SystemClock
from party_agent.contact import Contact
from party_agent.gpus import inventory_of
from party_agent.journal import Journal
from party_agent.policy.site import Site
from party_agent.reporter import Reporter
from party_agent.runtime.docker_engine.runtime import DockerRuntime
from party_agent.runtime.docker_engine.translate import LABEL_AGENT
from party_agent.units import Units
from tests.gpu.second_engine import IMAGE, SecondEngine

DEADLINE_S = 120


class GpuSite:
    """Starts party runs that ask for GPUs, and acknowledges their reports as a server would."""

    def __init__(self, engine: SecondEngine, *, inventory: tuple[str, ...]) -> None:
        self.engine = engine
        self.agent_key = f"test-{new_id()}"
        self.runtime = DockerRuntime(agent_key=self.agent_key, base_url=engine.url, pool_size=0)
        self._reporter = Reporter()
        journal = Journal(None)
        clock = SystemClock()
        self._units = Units(
            site=Site(),
            runtime=self.runtime,
            journal=journal,
            reporter=self._reporter,
            gpus=inventory_of(inventory),
            clock=clock,
            contact=Contact(journal, clock),
            outputs=None,
        )
        self._orders = 0
        self._reports: dict[str, list[Report]] = {}
        self._news = asyncio.Condition()

    def start(self, script: str, request: GpuRequest) -> str:
        """Have a party run started. Returns its id; queues are served in the order of calls."""
        self._orders += 1
        spec = WorkloadSpec(
            party_run_id=new_id(),
            run_id=new_id(),
            task_id=new_id(),
            order=self._orders,
            federated_id="party-1",
            rank=0,
            parties=("party-1",),
            image_url=IMAGE,
            workdir="/",
            command=("sh", "-c", script),
            resources=Resources(gpus=request),
            stop_grace_s=1,
        )
        self._reports[spec.party_run_id] = []
        self._units.assign([Assignment(spec=spec, desired=Desired.RUNNING)])
        return spec.party_run_id

    def reports(self, party_run_id: str) -> list[Report]:
        """Return what was reported of the party run so far, oldest first."""
        return self._reports[party_run_id]

    async def until(self, party_run_id: str, state: PartyRunState) -> Report:
        """Return the report with which the party run came into `state`."""

        def reached() -> Report | None:
            seen = self._reports[party_run_id]
            return next((report for report in seen if report.state is state), None)

        return await self._until_reported(reached)

    async def final(self, party_run_id: str) -> Report:
        """Return the party run's last report."""

        def reached() -> Report | None:
            seen = self._reports[party_run_id]
            return seen[-1] if seen and is_final(seen[-1].state) else None

        return await self._until_reported(reached)

    def containers(self) -> list[Container]:
        """Return all of this site's containers, ended ones and sandboxes too."""
        label = f"{LABEL_AGENT}={self.agent_key}"
        return self.engine.client.containers.list(
            all=True, filters={"label": label}, ignore_removed=True
        )

    async def _until_reported(self, reached: Callable[[], Report | None]) -> Report:
        async with asyncio.timeout(DEADLINE_S), self._news:
            while (report := reached()) is None:
                await self._news.wait()
            return report

    async def _acknowledge(self) -> None:
        while True:
            for report in await self._reporter.next_batch():
                async with self._news:
                    self._reports[report.party_run_id].append(report)
                    self._news.notify_all()
                self._units.acknowledge(report.party_run_id, report.sequence)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator["GpuSite"]:
        """Open runtime and units; close both and remove what is left afterwards."""
        await self.runtime.open()
        server = asyncio.create_task(self._acknowledge())
        try:
            await self._units.open()
            yield self
        finally:
            await self._units.stop_all()
            server.cancel()
            with suppress(asyncio.CancelledError):
                await server
            await self._units.aclose()
            await self.runtime.aclose()
