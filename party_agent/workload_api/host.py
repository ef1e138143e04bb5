"""The sockets of all workloads of one agent, and their reports until the server has them."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import structlog

from flow_contract.assignments import WorkloadSpec
from flow_contract.errors import Exhausted
from flow_contract.metrics import MetricBatch
from party_agent.policy.rules import MayLeave
from party_agent.unit import SelfReport
from party_agent.workload_api import folder
from party_agent.workload_api.book import Book
from party_agent.workload_api.http import Handler, WorkloadServer
from party_agent.workload_api.routes import Routes
from party_agent.workload_api.spool import Spool

RULE_METRICS = "leave.metrics"

log = structlog.get_logger()


class ApiHost:
    """Serves workloads below `state_dir`; None means that there is nothing to serve.

    `folders` is where their directories are made, None with `state_dir`. `more` are requests of a
    workload that others answer.
    """

    def __init__(
        self,
        state_dir: Path | None,
        now: Callable[[], datetime],
        *,
        more: Callable[[WorkloadSpec], Mapping[tuple[str, str], Handler]] = lambda _: {},
    ) -> None:
        self.folders = None if state_dir is None else state_dir / "api"
        self._spools_root = None if state_dir is None else state_dir / "metrics"
        self._now = now
        self._more = more
        self._servers: dict[str, WorkloadServer] = {}
        self._spools: dict[str, Spool] = {}
        # Whose workload can report nothing more.
        self._closed: set[str] = set()
        self._unsent: dict[str, None] = {}
        self._has_unsent = asyncio.Event()

    async def open(self, known: frozenset[str]) -> None:
        """Take over what earlier agents left; `known` are the party runs that are held."""
        if self.folders is None or self._spools_root is None:
            return
        await asyncio.to_thread(folder.remove_others, self.folders, known)
        for spool in await asyncio.to_thread(_spools, self._spools_root):
            self._spools[spool.party_run_id] = spool
            if spool.party_run_id not in known:
                self._closed.add(spool.party_run_id)
        self.say_again()

    async def serve(
        self, spec: WorkloadSpec, heard: Callable[[SelfReport], None], may_leave: MayLeave
    ) -> None:
        """Listen to the workload, unless that is done already; `heard` gets its words from now on.

        What may not leave is taken and kept nowhere; that points may not is told to the server,
        with its rule. Without a socket the workload runs all the same.
        """
        party_run_id = spec.party_run_id
        if self.folders is None or party_run_id in self._servers:
            return
        try:
            spool = await self._spool(party_run_id)
            made = await asyncio.to_thread(folder.make_folder, self.folders, party_run_id)
            spool.bound(may_leave.metrics_max_bytes)
            if not may_leave.metrics:
                await self._withhold(spool)
            book = Book(
                spool,
                may_leave,
                now=self._now,
                heard=heard,
                grown=lambda: self._mark(party_run_id),
            )
            routes = Routes(spec, book, more=self._more(spec))
            server = self._servers[party_run_id] = WorkloadServer(routes.handle)
            await server.start(folder.listen(made))
        except (OSError, ValueError) as error:
            log.error("workload_api_failed", party_run_id=party_run_id, error=str(error))  # noqa: TRY400  no defect of ours

    async def end(self, party_run_id: str) -> None:
        """Listen no longer, and remove the workload's directory; its reports stay until sent."""
        if self.folders is None:
            return
        server = self._servers.pop(party_run_id, None)
        if server is not None:
            await server.aclose()
        await asyncio.to_thread(folder.remove_folder, self.folders, party_run_id)
        self._closed.add(party_run_id)
        await self._settle(party_run_id)

    async def aclose(self) -> None:
        """Listen no longer; workloads find the next agent at the same place. May come twice."""
        servers = list(self._servers.values())
        self._servers.clear()
        for server in servers:
            await server.aclose()
        for spool in self._spools.values():
            spool.close()
        self._spools.clear()

    def say_again(self) -> None:
        """Ask the server anew what it has of every party run: nobody knows what has arrived."""
        for party_run_id in self._spools:
            self._mark(party_run_id)

    async def next_batch(self) -> MetricBatch:
        """Wait until the server lacks something, and return it; one consumer."""
        while True:
            await self._has_unsent.wait()
            party_run_id = next(iter(self._unsent))
            del self._unsent[party_run_id]
            if not self._unsent:
                self._has_unsent.clear()
            spool = self._spools.get(party_run_id)
            if spool is not None and not spool.is_told:
                return await asyncio.to_thread(spool.next_batch)
            await self._settle(party_run_id)

    async def acknowledge(self, batch: MetricBatch, stored: int) -> None:
        """Take the server's word of how many points of the party run it has."""
        spool = self._spools.get(batch.party_run_id)
        if spool is not None:
            await asyncio.to_thread(spool.acknowledge, stored, batch.dropped, batch.withheld)
            self._mark(batch.party_run_id)

    def send_again(self, party_run_id: str) -> None:
        """Send what was not answered once more."""
        self._mark(party_run_id)

    async def give_up(self, party_run_id: str) -> None:
        """Keep nothing more of what the server will never take."""
        spool = self._spools.get(party_run_id)
        if spool is not None:
            await asyncio.to_thread(spool.acknowledge, spool.stored, spool.dropped, spool.withheld)
            await self._settle(party_run_id)

    async def give_up_old(self, before: datetime) -> list[str]:
        """Give up reports of ended workloads that are older than `before`; return whose."""
        old = [
            party_run_id
            for party_run_id in sorted(self._closed)
            if (spool := self._spools.get(party_run_id)) and spool.changed_at < before
        ]
        for party_run_id in old:
            await self.give_up(party_run_id)
        return old

    def _mark(self, party_run_id: str) -> None:
        self._unsent[party_run_id] = None
        self._has_unsent.set()

    async def _spool(self, party_run_id: str) -> Spool:
        known = self._spools.get(party_run_id)
        if known is None:
            if self._spools_root is None:
                raise OSError("there is no state directory")
            known = await asyncio.to_thread(Spool, self._spools_root / party_run_id)
            self._spools[party_run_id] = known
        return known

    async def _withhold(self, spool: Spool) -> None:
        try:
            await asyncio.to_thread(spool.withhold, RULE_METRICS)
        except Exhausted as error:
            # It is told all the same, unless this agent ends first.
            log.warning("rule_not_kept", party_run_id=spool.party_run_id, why=str(error))
        self._mark(spool.party_run_id)

    async def _settle(self, party_run_id: str) -> None:
        """Remove the reports of a workload that has ended, once the server has them."""
        spool = self._spools.get(party_run_id)
        if spool is not None and spool.is_told and party_run_id in self._closed:
            del self._spools[party_run_id]
            self._closed.discard(party_run_id)
            await asyncio.to_thread(spool.remove)


def _spools(root: Path) -> list[Spool]:
    found = []
    for entry in sorted(root.iterdir()) if root.is_dir() else []:
        try:
            found.append(Spool(entry))
        except (OSError, ValueError) as error:
            log.error("metrics_unreadable", party_run_id=entry.name, error=str(error))  # noqa: TRY400  no defect of ours
    return found
