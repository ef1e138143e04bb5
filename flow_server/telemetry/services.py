"""The services as a server runs them: each does what its base does, and counts it."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any

from flow_contract.access import Caller
from flow_contract.audit import Act
from flow_contract.errors import FlowError
from flow_contract.logs import LogChunk, LogEnd, LogRequest
from flow_contract.metrics import MetricBatch
from flow_contract.outputs import OutputAnswer, PackedOutput, StoredOutput
from flow_server.hub.registry import Registry
from flow_server.hub.sessions import Session
from flow_server.services.audit import AuditService
from flow_server.services.log_pushes import LogPushService, Sender
from flow_server.services.log_reads import LogReadService, Piece
from flow_server.services.metrics import MetricService
from flow_server.services.output_pushes import OutputPushService
from flow_server.services.output_reads import OutputReadService
from flow_server.services.output_shares import Share, Upload
from flow_server.services.parties import PartyService
from flow_server.services.reports import ReportService
from flow_server.telemetry.metrics import ServerMetrics


class CountedRegistry(Registry):
    """Counts connections that come and go."""

    def __init__(self, metrics: ServerMetrics, spread_s: Callable[[int], float]) -> None:
        super().__init__(spread_s)
        self._metrics = metrics
        metrics.connected_agents.set_function(lambda: len(self))

    def add(self, session: Session) -> None:
        """See `Registry.add`."""
        self._metrics.sessions_opened.inc()
        super().add(session)

    def remove(self, session: Session) -> None:
        """See `Registry.remove`."""
        self._metrics.sessions_closed.inc()
        super().remove(session)


class CountedParties(PartyService):
    """Counts rounds of renewing leases."""

    def __init__(self, metrics: ServerMetrics, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._rounds = {
            outcome: metrics.lease_renewals.labels(outcome) for outcome in ("done", "failed")
        }

    async def renew_leases(self, held: Sequence[tuple[str, int]]) -> dict[str, int]:
        """See `PartyService.renew_leases`."""
        try:
            renewed = await super().renew_leases(held)
        except Exception:
            self._rounds["failed"].inc()
            raise
        self._rounds["done"].inc()
        return renewed


class CountedReports(ReportService):
    """Counts reports once they are stored."""

    def __init__(self, metrics: ServerMetrics, *args: Any) -> None:
        super().__init__(*args)
        self._metrics = metrics

    async def _apply(self, submissions: Sequence[Any]) -> list[FlowError | None]:
        answers = await super()._apply(submissions)
        reports = sum(len(submission.sent) for submission in submissions)
        self._metrics.reports.inc(reports)
        self._metrics.report_batch.observe(reports)
        return answers


class CountedLogPushes(LogPushService):
    """Counts bytes once they are stored."""

    def __init__(self, metrics: ServerMetrics, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._metrics = metrics

    async def append(self, sender: Sender, chunks: Sequence[tuple[str, LogChunk]]) -> list[LogEnd]:
        """See `LogPushService.append`."""
        ends = await super().append(sender, chunks)
        self._metrics.log_received_bytes.inc(sum(len(chunk.data) for _, chunk in chunks))
        self._metrics.log_received_raw_bytes.inc(sum(chunk.raw_bytes for _, chunk in chunks))
        return ends


class CountedLogReads(LogReadService):
    """Counts bytes as they are read."""

    def __init__(self, metrics: ServerMetrics, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._metrics = metrics

    async def read(
        self,
        request: LogRequest,
        *,
        caller: Caller,
        again: Callable[[], Awaitable[Caller]],
    ) -> AsyncGenerator[Piece, None]:
        """See `LogReadService.read`."""
        pieces = super().read(request, caller=caller, again=again)
        try:
            async for piece in pieces:
                if isinstance(piece, LogChunk):
                    self._metrics.log_sent_bytes.inc(len(piece.data))
                yield piece
        finally:
            await pieces.aclose()


class CountedOutputPushes(OutputPushService):
    """Counts bytes once they are stored."""

    def __init__(self, metrics: ServerMetrics, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._metrics = metrics

    async def put_part(
        self, share: Share, upload: Upload, number: int, data: bytes | memoryview
    ) -> None:
        """See `OutputPushService.put_part`."""
        await super().put_part(share, upload, number, data)
        self._metrics.output_received_bytes.inc(len(data))

    async def pack(self, share: Share, packed: Sequence[PackedOutput]) -> list[OutputAnswer]:
        """See `OutputPushService.pack`."""
        answers = await super().pack(share, packed)
        self._metrics.output_received_bytes.inc(sum(len(one.data) for one in packed))
        return answers


class CountedOutputReads(OutputReadService):
    """Counts bytes as they are read."""

    def __init__(self, metrics: ServerMetrics, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._metrics = metrics

    async def read(self, *args: Any, **options: Any) -> AsyncGenerator[StoredOutput | bytes, None]:
        """See `OutputReadService.read`."""
        pieces = super().read(*args, **options)
        try:
            async for piece in pieces:
                if isinstance(piece, bytes):
                    self._metrics.output_sent_bytes.inc(len(piece))
                yield piece
        finally:
            await pieces.aclose()


class CountedMetrics(MetricService):
    """Counts the points that workloads report."""

    def __init__(self, metrics: ServerMetrics, *args: Any) -> None:
        super().__init__(*args)
        self._metrics = metrics

    async def push(
        self, federated_id: str, batch: MetricBatch, *, serial: str | None = None
    ) -> int:
        """See `MetricService.push`."""
        stored = await super().push(federated_id, batch, serial=serial)
        self._metrics.metric_points.inc(len(batch.points))
        return stored


class CountedAudit(AuditService):
    """Counts acts by their outcome."""

    def __init__(self, metrics: ServerMetrics, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._metrics = metrics

    async def record(self, act: Act) -> None:
        """See `AuditService.record`."""
        self._metrics.audit_entries.labels(act.outcome.value).inc()
        await super().record(act)
