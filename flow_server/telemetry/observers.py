"""What the database and the background loops are watched by, and how late the event loop is."""

import asyncio
from typing import Final, NoReturn

from flow_server.telemetry.metrics import ServerMetrics

LAG_LOOK_S: Final = 0.5


class LoopMetrics:
    """A `LoopWatch`."""

    def __init__(self, metrics: ServerMetrics) -> None:
        self._metrics = metrics

    def began(self, name: str) -> None:
        """See `LoopWatch`."""
        self._metrics.loop_running.labels(name).set(1)
        # There from the beginning: what appears with its first failure alarms nobody.
        self._metrics.loop_failures.labels(name)

    def failed(self, name: str) -> None:
        """See `LoopWatch`."""
        self._metrics.loop_running.labels(name).set(0)
        self._metrics.loop_failures.labels(name).inc()

    def succeeded(self, name: str) -> None:
        """See `LoopWatch`."""
        self._metrics.loop_success_at.labels(name).set_to_current_time()


class DatabaseMetrics:
    """A `DatabaseWatch`."""

    def __init__(self, metrics: ServerMetrics) -> None:
        self._metrics = metrics
        self._errors = {
            passing: metrics.database_errors.labels("unavailable" if passing else "refused")
            for passing in (True, False)
        }

    def waited(self, seconds: float) -> None:
        """See `DatabaseWatch`."""
        self._metrics.database_wait_s.observe(seconds)

    def failed(self, *, passing: bool) -> None:
        """See `DatabaseWatch`."""
        self._errors[passing].inc()


async def watch_loop(metrics: ServerMetrics) -> NoReturn:
    """Measure for ever how much later than asked the event loop wakes who sleeps."""
    loop = asyncio.get_running_loop()
    while True:
        due_s = loop.time() + LAG_LOOK_S
        await asyncio.sleep(LAG_LOOK_S)
        metrics.loop_lag_s.observe(max(0.0, loop.time() - due_s))
