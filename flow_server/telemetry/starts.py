"""Starts as metrics and as traces: one start is one trace, which the agents go on with."""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from prometheus_client import Counter

from flow_contract.assignments import Assignment
from flow_contract.errors import FlowError, Internal, Unavailable
from flow_contract.runs import Snapshot
from flow_server.domain.rosters import Roster
from flow_server.services.starts import OnStoring, StartService
from flow_server.storage.database import Database
from flow_server.telemetry.metrics import OUTCOMES, ServerMetrics
from flow_tracing import Tracing

T = TypeVar("T")

_ACCEPTED, _REFUSED, _FAILED = OUTCOMES


class ObservedStarts(StartService):
    """Counts and times starts and stops, and traces starts.

    Starts of different tasks are stored together; the spans of that are as long for each of them.
    """

    def __init__(
        self,
        metrics: ServerMetrics,
        tracing: Tracing,
        database: Database,
        *,
        on_storing: OnStoring,
    ) -> None:
        super().__init__(database, on_storing=self._storing)
        self._metrics = metrics
        self._tracing = tracing
        self._tell = on_storing
        # Of each run that is being stored in this moment; the batches are few.
        self._decided_at_ns = 0

    async def start(self, *args: Any, **options: Any) -> str:
        """See `StartService.start`."""
        with self._tracing.span("start"), self._metrics.start_s.time():
            return await _counted(
                self._metrics.starts.labels,
                super().start(*args, **options, traceparent=self._tracing.traceparent()),
            )

    async def stop(self, *args: Any, **options: Any) -> list[str]:
        """See `StartService.stop`."""
        return await _counted(self._metrics.stops.labels, super().stop(*args, **options))

    def _storing(self, run_id: str, snapshot: Snapshot, roster: Roster) -> None:
        self._decided_at_ns = time.time_ns()
        self._tell(run_id, snapshot, roster)

    async def _store_all(self, requests: Sequence[Any]) -> list[str | FlowError]:
        if not self._tracing.is_on:
            return await super()._store_all(requests)
        began_ns = time.time_ns()
        answers = await super()._store_all(requests)
        ended_ns = time.time_ns()
        decided_ns = min(max(self._decided_at_ns, began_ns), ended_ns)
        for request, answer in zip(requests, answers, strict=True):
            error = answer.code if isinstance(answer, FlowError) else ""
            self._tracing.record(
                "start.validate",
                parent=request.traceparent,
                began_ns=began_ns,
                ended_ns=decided_ns,
                error=error,
            )
            if not error:
                self._tracing.record(
                    "start.store",
                    parent=request.traceparent,
                    began_ns=decided_ns,
                    ended_ns=ended_ns,
                    attributes={
                        "fedflow.run_id": str(answer),
                        "fedflow.batch_starts": len(requests),
                    },
                )
        return answers


class TracedDelivery:
    """Records each offer of a traced assignment to the connection of its party."""

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    def __call__(self, assignments: Sequence[Assignment], began_ns: int) -> None:
        """Take note that these were read since `began_ns` and are on their way."""
        if not self._tracing.is_on:
            return
        ended_ns = time.time_ns()
        for item in assignments:
            if item.traceparent:
                self._tracing.record(
                    "deliver",
                    parent=item.traceparent,
                    began_ns=began_ns,
                    ended_ns=ended_ns,
                    attributes={
                        "fedflow.party": item.spec.federated_id,
                        "fedflow.run_id": item.spec.run_id,
                        "fedflow.desired": item.desired.value,
                    },
                )


async def _counted(labels: Callable[[str], Counter], work: Awaitable[T]) -> T:
    outcome = _FAILED
    try:
        answer = await work
        outcome = _ACCEPTED
    except (Unavailable, Internal):
        raise
    except FlowError:
        outcome = _REFUSED
        raise
    finally:
        labels(outcome).inc()
    return answer
