"""What an agent is made of, each as it is and observed: journal, reporter, spools, and so on."""

import re
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from grpc import StatusCode

from flow_contract.assignments import WorkloadSpec
from flow_contract.lifecycle import PartyRunState, is_final
from flow_contract.logs import LogChunk
from flow_contract.metrics import MetricBatch
from party_agent.audit import AuditLog
from party_agent.audited_journal import AuditedJournal
from party_agent.journal_file import Statement
from party_agent.logs_out.spools import Spools
from party_agent.refusals import Refusals
from party_agent.reporter import Reporter
from party_agent.telemetry.metrics import AgentMetrics
from party_agent.telemetry.story import Story
from party_agent.tunnel.pump import Ended
from party_agent.tunnel.refusing import Refused, TunnelWatch
from party_agent.unit import Unit
from party_agent.workload_api.host import ApiHost

# How a log ends that was cut: a mark's head, then its sentence; see runtime.log_capture.
_DROPPED = re.compile(rb"\x03.{8}\0{3}.(\d{1,18}) bytes dropped from \w+\Z", re.DOTALL)
_LAST_BYTES = 64


class ObservedJournal(AuditedJournal):
    """Times writes, counts ends and refusals, and tells the story of each unit."""

    def __init__(
        self, metrics: AgentMetrics, story: Story, state_dir: Path | None, audit: AuditLog
    ) -> None:
        self._metrics = metrics
        self._story = story
        self._ended: set[str] = set()
        super().__init__(state_dir, audit)

    def load(self) -> list[Unit]:
        """See `Journal.load`."""
        units = super().load()
        for unit in units:
            if is_final(unit.status.state):
                self._ended.add(unit.party_run_id)
            if unit.acked < unit.sequence or not is_final(unit.status.state):
                self._story.moved(unit)
        return units

    async def save(self, unit: Unit) -> None:
        """See `Journal.save`."""
        await super().save(unit)
        if unit.acked < unit.sequence or not is_final(unit.status.state):
            self._story.moved(unit)
        state = unit.status.state
        if not is_final(state) or unit.party_run_id in self._ended:
            return
        self._ended.add(unit.party_run_id)
        self._metrics.ended.labels(state.value).inc()
        if state is PartyRunState.REFUSED:
            self._metrics.policy_refusals.labels(unit.status.reason.value).inc()

    async def forget(self, unit: Unit, now: datetime) -> None:
        """See `Journal.forget`."""
        await super().forget(unit, now)
        self._ended.discard(unit.party_run_id)
        self._story.forget(unit.party_run_id)

    async def _write(self, *statements: Statement) -> None:
        began_s = time.perf_counter()
        await super()._write(*statements)
        self._metrics.journal_s.observe(time.perf_counter() - began_s)


class ObservedReporter(Reporter):
    """Counts what waits, and ends each story that the server has heard to its end."""

    def __init__(self, metrics: AgentMetrics, story: Story) -> None:
        super().__init__()
        self._story = story
        metrics.reports_unacknowledged.set_function(lambda: self.unacknowledged)

    def withdraw(self, party_run_id: str) -> None:
        """See `Reporter.withdraw`."""
        super().withdraw(party_run_id)
        self._story.told(party_run_id)


class ObservedSpools(Spools):
    """Counts bytes. `captured_bytes` is what all logs were long since this agent began."""

    def __init__(self, metrics: AgentMetrics, folder: Path, **bounds: int) -> None:
        super().__init__(folder, **bounds)
        self._metrics = metrics
        self._finished_bytes = 0

    def chunks(self, party_run_id: str, start: int) -> list[LogChunk]:
        """See `Spools.chunks`."""
        found = super().chunks(party_run_id, start)
        self._metrics.log_sent_bytes.inc(sum(chunk.raw_bytes for chunk in found))
        return found

    def remove(self, party_run_id: str) -> None:
        """See `Spools.remove`."""
        self._finished_bytes += self.size_bytes(party_run_id)
        if told := _DROPPED.search(self.last_bytes(party_run_id, _LAST_BYTES)):
            self._metrics.log_dropped_bytes.inc(int(told[1]))
        super().remove(party_run_id)

    def look(self) -> tuple[int, int]:
        """Return the bytes captured, and those of them that are here."""
        here = sum(self.size_bytes(name) for name in self.names())
        return self._finished_bytes + here, here


class ObservedRefusals(Refusals):
    """Counts the server's answers to who dials."""

    def __init__(self, metrics: AgentMetrics, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._metrics = metrics

    async def refused(self, code: StatusCode | None, said: str, *, retry_s: float) -> None:
        """See `Refusals.refused`."""
        self._metrics.refusals.labels("not_dialled" if code is None else code.name).inc()
        await super().refused(code, said, retry_s=retry_s)

    async def admitted(self) -> None:
        """See `Refusals.admitted`."""
        self._metrics.sessions.inc()
        await super().admitted()


class ObservedTunnels(TunnelWatch):
    """Counts connections, and what passes."""

    def __init__(self, metrics: AgentMetrics, audit: AuditLog) -> None:
        super().__init__(audit)
        self._metrics = metrics
        for direction in ("sent", "received"):
            metrics.tunnel_bytes.labels(direction)

    def began(self) -> None:
        """See `TunnelWatch.began`."""
        self._metrics.tunnels.inc()

    def ended(self, how: Ended | Refused) -> None:
        """See `TunnelWatch.ended`."""
        self._metrics.tunnels.dec()
        if isinstance(how, Ended):
            self._metrics.tunnels_ended.labels(how.value).inc()

    def moved(self, sent_bytes: int, received_bytes: int) -> None:
        """See `TunnelWatch.moved`."""
        self._metrics.tunnel_bytes.labels("sent").inc(max(0, sent_bytes))
        self._metrics.tunnel_bytes.labels("received").inc(max(0, received_bytes))

    async def refused(
        self, why: Refused, *, spec: WorkloadSpec | None, party_run_id: str, **facts: str
    ) -> None:
        """See `TunnelWatch.refused`."""
        self._metrics.tunnel_refusals.labels(why.value).inc()
        await super().refused(why, spec=spec, party_run_id=party_run_id, **facts)


class ObservedApiHost(ApiHost):
    """Counts metric points as the server says that it has them."""

    def __init__(self, metrics: AgentMetrics, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._metrics = metrics
        metrics.metric_points_dropped.set_function(
            lambda: sum(spool.dropped for spool in list(self._spools.values()))
        )

    async def acknowledge(self, batch: MetricBatch, stored: int) -> None:
        """See `ApiHost.acknowledge`."""
        self._metrics.metric_points.inc(len(batch.points))
        await super().acknowledge(batch, stored)
