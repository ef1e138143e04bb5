"""A runtime, each of its verbs counted, timed, and done as part of its party run's story."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from prometheus_client import Counter, Histogram

from flow_tracing import Tracing
from party_agent.runtime.port import (
    Bind,
    Neighbour,
    Observation,
    Progress,
    PulledImage,
    Runtime,
    Sockets,
    Workload,
)
from party_agent.telemetry.metrics import AgentMetrics
from party_agent.telemetry.story import Story


class ObservedRuntime:
    """A `Runtime` around another; see there for each verb."""

    def __init__(self, inner: Runtime, metrics: AgentMetrics, story: Story) -> None:
        self._inner = inner
        self._story = story
        self._watch = _Meter(metrics.runtime_calls, metrics.runtime_s)
        self.name = inner.name

    async def open(self) -> None:
        """See `Runtime.open`."""
        with self._watch("open"):
            await self._inner.open()

    async def aclose(self) -> None:
        """See `Runtime.aclose`."""
        await self._inner.aclose()

    async def prepare(self, workload: Workload, progress: Progress) -> str:
        """See `Runtime.prepare`."""
        with self._watch("prepare"), self._story.current(workload.party_run_id):
            return await self._inner.prepare(workload, progress)

    def host_of(self, party_run_id: str, neighbour: Neighbour) -> str:
        """See `Runtime.host_of`."""
        return self._inner.host_of(party_run_id, neighbour)

    async def sockets(self, workload: Workload) -> Sockets:
        """See `Runtime.sockets`."""
        with self._watch("sockets"), self._story.current(workload.party_run_id):
            return await self._inner.sockets(workload)

    def path_of(self, bind: Bind) -> str:
        """See `Runtime.path_of`."""
        return self._inner.path_of(bind)

    async def launch(self, workload: Workload) -> Observation:
        """See `Runtime.launch`."""
        with self._watch("launch"), self._story.current(workload.party_run_id):
            return await self._inner.launch(workload)

    async def inspect(self, party_run_id: str) -> Observation | None:
        """See `Runtime.inspect`."""
        with self._watch("inspect"), self._story.current(party_run_id):
            return await self._inner.inspect(party_run_id)

    async def list(self) -> list[Observation]:
        """See `Runtime.list`."""
        with self._watch("list"):
            return await self._inner.list()

    async def stop(self, party_run_id: str, grace_s: float) -> None:
        """See `Runtime.stop`."""
        with self._watch("stop"), self._story.current(party_run_id):
            await self._inner.stop(party_run_id, grace_s)

    async def remove(self, party_run_id: str) -> None:
        """See `Runtime.remove`."""
        with self._watch("remove"), self._story.current(party_run_id):
            await self._inner.remove(party_run_id)

    def exits(self) -> AsyncIterator[str]:
        """See `Runtime.exits`."""
        return self._inner.exits()

    def pulls(self) -> AsyncIterator[PulledImage]:
        """See `Runtime.pulls`."""
        return self._inner.pulls()

    async def remove_image(self, image: PulledImage) -> bool:
        """See `Runtime.remove_image`."""
        with self._watch("remove_image"):
            return await self._inner.remove_image(image)

    async def tidy(self) -> None:
        """See `Runtime.tidy`."""
        with self._watch("tidy"):
            await self._inner.tidy()


class EngineWatch:
    """A `CallWatch` for the container engine: calls made for a party run become spans of it."""

    def __init__(self, metrics: AgentMetrics, tracing: Tracing) -> None:
        self._meter = _Meter(metrics.engine_calls, metrics.engine_s)
        self._tracing = tracing

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Watch what happens inside the `with`."""
        with self._meter(name):
            if self._tracing.is_inside:
                with self._tracing.span(f"engine.{name}"):
                    yield
            else:
                yield


class _Meter:
    def __init__(self, calls: Counter, seconds: Histogram) -> None:
        self._calls = calls
        self._seconds = seconds

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        began_s = time.perf_counter()
        outcome = "failed"
        try:
            yield
            outcome = "done"
        finally:
            self._calls.labels(name, outcome).inc()
            self._seconds.labels(name).observe(time.perf_counter() - began_s)
