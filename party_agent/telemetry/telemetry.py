"""All that is observed of one agent, for the composition root to hand around."""

import asyncio
import math
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from flow_contract.lifecycle import PartyRunState
from flow_tracing import NO_TRACING, Tracing
from party_agent.identity import files
from party_agent.identity.files import IdentityMissing, IdentityUnusable
from party_agent.identity.keys import CertificateUnfit
from party_agent.runtime.port import Runtime, RuntimeUnavailable
from party_agent.telemetry.listener import Listener, Page, document
from party_agent.telemetry.metrics import AgentMetrics
from party_agent.telemetry.observed import ObservedSpools
from party_agent.telemetry.runtime import EngineWatch, ObservedRuntime
from party_agent.telemetry.story import Story
from party_agent.unit import Unit
from party_agent.version import version

_LAG_LOOK_S: Final = 0.5
_ANSWER_WITHIN_S: Final = 5.0
# No workload has it; asking for one costs the runtime one small call.
_NOBODY: Final = "none"


class AgentTelemetry:
    """One agent's metrics and traces, and whether it is ready."""

    def __init__(self, tracing: Tracing = NO_TRACING) -> None:
        self.metrics = AgentMetrics(version=version())
        self.story = Story(tracing)
        self.engine = EngineWatch(self.metrics, tracing)
        self.connected: Callable[[], bool] = lambda: False
        self.held: Callable[[], Iterable[Unit]] = tuple
        self._runtime: Runtime | None = None
        self._state_dir: Path | None = None
        self._spools: ObservedSpools | None = None
        self._captured_bytes = 0
        self.listener = Listener(
            {"/metrics": self._page, "/healthz": _alive, "/readyz": self._readiness}
        )

    def around(self, runtime: Runtime) -> Runtime:
        """Return the runtime, observed."""
        self._runtime = ObservedRuntime(runtime, self.metrics, self.story)
        return self._runtime

    def follow(self, state_dir: Path | None, spools: ObservedSpools | None, gpus: int) -> None:
        """Show what is in the state directory, and of how many GPUs."""
        self._state_dir = state_dir
        self._spools = spools
        self.metrics.gpus.set(gpus)

    async def run(self) -> NoReturn:
        """Measure for ever how much later than asked the event loop wakes who sleeps."""
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + _LAG_LOOK_S
            await asyncio.sleep(_LAG_LOOK_S)
            self.metrics.loop_lag_s.observe(max(0.0, loop.time() - due_s))

    async def aclose(self) -> None:
        """Answer nobody any more, and end what is open."""
        await self.listener.aclose()
        self.story.aclose()

    async def _page(self) -> Page:
        self._count_units()
        await asyncio.to_thread(self._look_at_disk)
        return 200, CONTENT_TYPE_LATEST, generate_latest(self.metrics.registry)

    async def _readiness(self) -> Page:
        if not self.connected():
            return document(503, status="unavailable", message="no session with the server")
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                if self._runtime is not None:
                    await self._runtime.inspect(_NOBODY)
        except (RuntimeUnavailable, TimeoutError) as error:
            said = str(error) or "the runtime does not answer"
            return document(503, status="unavailable", message=said)
        return document(200, status="ok")

    def _count_units(self) -> None:
        numbers: dict[str, int] = {}
        held_gpus = 0
        for unit in self.held():
            name = unit.status.state.value
            numbers[name] = numbers.get(name, 0) + 1
            held_gpus += 0 if unit.removed else len(unit.status.gpu_ids)
        for state in PartyRunState:
            self.metrics.units.labels(state.value).set(numbers.get(state.value, 0))
        self.metrics.gpus_held.set(held_gpus)
        self.metrics.connected.set(self.connected())

    def _look_at_disk(self) -> None:
        metrics = self.metrics
        if self._spools is not None:
            captured, here = self._spools.look()
            metrics.log_captured_bytes.inc(max(0, captured - self._captured_bytes))
            self._captured_bytes = max(captured, self._captured_bytes)
            metrics.log_spooled_bytes.set(here)
        free, expires_at = math.nan, math.inf
        if self._state_dir is not None:
            with suppress(OSError):
                free = shutil.disk_usage(self._state_dir).free
            expires_at = _expiry(self._state_dir)
        metrics.state_free_bytes.set(free)
        metrics.certificate_expires_at.set(expires_at)


def _expiry(state_dir: Path) -> float:
    try:
        return files.read(state_dir).facts.not_after.timestamp()
    except IdentityMissing:
        return math.inf
    except (OSError, IdentityUnusable, CertificateUnfit):
        # One that can't be used is as good as expired.
        return 0.0


async def _alive() -> Page:
    return document(200, status="ok")
