"""The queue of ended workloads between a runtime and its one consumer."""

import asyncio
from collections.abc import AsyncIterator


class Exits:
    """Names what ended, in order, also to a consumer that comes late; ends when closed."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._closed = False

    def put(self, party_run_id: str) -> None:
        """Say that a workload has ended; after `close` nobody is told."""
        if not self._closed:
            self._queue.put_nowait(party_run_id)

    def close(self) -> None:
        """Let the consumer end after what it was not told yet. May be called twice."""
        if not self._closed:
            self._closed = True
            self._queue.put_nowait(None)

    async def stream(self) -> AsyncIterator[str]:
        """Yield each id until closed."""
        while (party_run_id := await self._queue.get()) is not None:
            yield party_run_id
        # Whoever asks again after the end is told so again.
        self._queue.put_nowait(None)
