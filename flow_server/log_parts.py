"""The parts that take logs in and give them out, put together for one replica."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from flow_server.grpc_api.logs import LogServicer
from flow_server.services.log_pushes import LogPushService
from flow_server.services.watches import Watches
from flow_server.settings import ServerSettings
from flow_server.storage.blobs import Blobs
from flow_server.storage.database import Database
from flow_server.telemetry.metrics import ServerMetrics
from flow_server.telemetry.services import CountedLogPushes, CountedLogReads


@dataclass(frozen=True, kw_only=True)
class LogParts:
    """`watched` is told of each run of which there is more."""

    servicer: LogServicer
    pushes: LogPushService
    watched: Watches

    def close(self) -> None:
        """End pushes and readings, now and later: the server is leaving."""
        self.watched.close()
        self.servicer.close()


def make_log_parts(
    database: Database,
    blobs: Blobs,
    settings: ServerSettings,
    metrics: ServerMetrics,
    *,
    tasks_watched: Watches,
    clock_s: Callable[[], float] = time.monotonic,
) -> LogParts:
    """Return them, not yet running."""
    watched = Watches()
    pushes = CountedLogPushes(metrics, database, blobs, most_bytes=settings.log_bytes_per_party_run)
    reads = CountedLogReads(
        metrics, database, blobs, logs_watched=watched, tasks_watched=tasks_watched, clock_s=clock_s
    )
    servicer = LogServicer(pushes, reads, insecure=settings.insecure)
    return LogParts(servicer=servicer, pushes=pushes, watched=watched)
