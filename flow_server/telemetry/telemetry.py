"""All that is observed of one server, for the composition root to hand around."""

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from flow_server.loops.supervisor import Duty
from flow_server.relay.counts import RelayCounts
from flow_server.storage.database import Database
from flow_server.telemetry.calls import CallWatch
from flow_server.telemetry.census import Census
from flow_server.telemetry.metrics import ServerMetrics
from flow_server.telemetry.observers import DatabaseMetrics, LoopMetrics, watch_loop
from flow_server.telemetry.relay import RelayMetrics
from flow_tracing import NO_TRACING, Tracing

# What belongs to a start; every other call would be a trace of one span.
_TRACED = frozenset({"TaskService/Start"})


class Telemetry:
    """One server's metrics and traces."""

    def __init__(self, *, version: str, tracing: Tracing = NO_TRACING) -> None:
        self.metrics = ServerMetrics(version=version)
        self.tracing = tracing
        self.loops = LoopMetrics(self.metrics)
        self.databases = DatabaseMetrics(self.metrics)
        self.calls = CallWatch(self.metrics, tracing, _TRACED)
        self._census: Census | None = None
        self._relay: RelayMetrics | None = None

    def follow(self, database: Database, *, limit: int) -> None:
        """Show this database's pool, of `limit` connections, and what it holds."""
        self.metrics.database_limit.set(limit)
        self.metrics.database_in_use.set_function(lambda: database.connections_in_use)
        self._census = Census(database, self.metrics)

    def follow_relay(self, counts: RelayCounts) -> None:
        """Show what this relay does."""
        self._relay = RelayMetrics(self.metrics, counts)

    @property
    def duties(self) -> dict[str, Duty]:
        """What is to be done all the time."""
        return {"event_loop_lag": lambda: watch_loop(self.metrics)}

    async def page(self) -> tuple[bytes, str]:
        """Return all metrics in Prometheus' text format, and its content type.

        Never fails, whatever else is down.
        """
        if self._census is not None:
            await self._census.refresh()
        if self._relay is not None:
            self._relay.refresh()
        return generate_latest(self.metrics.registry), CONTENT_TYPE_LATEST

    async def aclose(self) -> None:
        """Ask nothing more."""
        if self._census is not None:
            await self._census.aclose()
