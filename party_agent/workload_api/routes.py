"""What each request of a workload means: the paths under /v1."""

import asyncio
from collections.abc import Mapping

from flow_contract.assignments import WorkloadSpec
from flow_contract.errors import NotFound
from party_agent.workload_api import readings
from party_agent.workload_api.book import Book
from party_agent.workload_api.http import Answer, Handler, Request
from party_agent.workload_api.readings import SentBatch

_DONE = Answer(status=204)
# Bytes that are read as JSON in no time.
_SMALL = 16 * 1024


class Routes:
    """Answers one party run's requests. A path of the table that ends in / stands for all below."""

    def __init__(
        self,
        spec: WorkloadSpec,
        book: Book,
        *,
        more: Mapping[tuple[str, str], Handler] | None = None,
    ) -> None:
        self._spec = spec
        self._book = book
        self._reading = asyncio.Lock()
        self._table: dict[tuple[str, str], Handler] = {
            ("GET", "/v1/run"): self._run,
            ("POST", "/v1/progress"): self._progress,
            ("POST", "/v1/metrics"): self._metrics,
            ("POST", "/v1/messages"): self._message,
            **(more or {}),
        }

    async def handle(self, request: Request) -> Answer:
        """Answer a request. Raises errors of the catalogue."""
        for (method, path), handler in self._table.items():
            is_below = path.endswith("/") and request.path.startswith(path)
            if method == request.method and (is_below or request.path == path):
                return await handler(request)
        known = ", ".join(f"{method} {path}" for method, path in self._table)
        raise NotFound(f"{request.method} {request.path[:100]}: no such request; there is {known}")

    async def _run(self, request: Request) -> Answer:
        await request.body()
        spec = self._spec
        return Answer(
            status=200,
            document={
                "task_id": spec.task_id,
                "run_id": spec.run_id,
                "party_run_id": spec.party_run_id,
                "party_id": spec.federated_id,
                "role": "party",
                "rank": spec.rank,
                "world_size": len(spec.parties),
                "parties": list(spec.parties),
                "epochs": spec.epochs,
                "hyper_parameter": list(spec.hyper_parameter),
            },
        )

    async def _progress(self, request: Request) -> Answer:
        epoch, total = readings.progress(readings.document(await request.body()))
        await self._book.progress(epoch, total)
        return _DONE

    async def _message(self, request: Request) -> Answer:
        await self._book.message(readings.message(readings.document(await request.body())))
        return _DONE

    async def _metrics(self, request: Request) -> Answer:
        body = await request.body()
        # One at a time: what is large is read in a thread, and all workloads share those.
        async with self._reading:
            sent = await asyncio.to_thread(_points, body) if len(body) > _SMALL else _points(body)
        stored, dropped = await self._book.metrics(sent)
        return Answer(status=200, document={"stored": stored, "dropped": dropped})


def _points(body: bytes) -> SentBatch:
    return readings.metrics(readings.document(body))
