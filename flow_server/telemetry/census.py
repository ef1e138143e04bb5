"""Runs and parties in numbers, asked of the database when somebody looks, and not more often."""

import asyncio
import time
from collections.abc import Mapping
from typing import Final

from prometheus_client import Gauge

from flow_contract.errors import Unavailable
from flow_contract.lifecycle import PartyRunState, RunStatus, is_final, is_final_status
from flow_server.storage import census
from flow_server.storage.database import Database, StatementRefused
from flow_server.telemetry.metrics import ServerMetrics

FRESH_FOR_S: Final = 5.0
# Whoever scrapes gives up after some seconds, and the other metrics matter most just then.
_ANSWER_WITHIN_S: Final = 2.0


class Census:
    """Keeps the gauges of runs and parties no older than a few seconds while they are looked at."""

    def __init__(self, database: Database, metrics: ServerMetrics) -> None:
        self._database = database
        self._metrics = metrics
        self._looked_at_s = float("-inf")
        self._looking: asyncio.Task[None] | None = None

    async def refresh(self) -> None:
        """Count anew if the numbers are old; those of a database that is away stay as they were."""
        if time.monotonic() - self._looked_at_s < FRESH_FOR_S:
            return
        # One statement, however many look at once; it goes on if one of them leaves.
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        await asyncio.wait([self._looking], timeout=_ANSWER_WITHIN_S)
        if not self._looking.done():
            self._metrics.database_up.set(0)

    async def aclose(self) -> None:
        """Look no longer."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def _look(self) -> None:
        try:
            async with self._database.glance() as connection:
                found = await census.take(connection)
        except (Unavailable, StatementRefused):
            self._metrics.database_up.set(0)
            return
        finally:
            self._looked_at_s = time.monotonic()
        metrics = self._metrics
        metrics.database_up.set(1)
        metrics.census_at.set_to_current_time()
        _set(metrics.active_runs, found.get("active_runs", {}), _ACTIVE)
        _set(metrics.recent_runs, found.get("runs_ended_last_hour", {}), _ENDED)
        _set(metrics.active_party_runs, found.get("active_party_runs", {}), _STATES)
        _set(metrics.parties, found.get("parties", {}), ("connected", "draining", "absent"))


_ACTIVE = tuple(status.value for status in RunStatus if not is_final_status(status))
_ENDED = tuple(status.value for status in RunStatus if is_final_status(status))
_STATES = tuple(state.value for state in PartyRunState if not is_final(state))


def _set(gauge: Gauge, found: Mapping[str, int], known: tuple[str, ...]) -> None:
    # Also those of which there are none: a series that ends is no 0.
    for name in known:
        gauge.labels(name).set(found.get(name, 0))
