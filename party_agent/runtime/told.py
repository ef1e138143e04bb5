"""The queue between a runtime that has news and the one consumer of them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Told(Generic[T]):
    """Hands on what was told, in order, also to a consumer that comes late; ends when closed."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[T | None] = asyncio.Queue()
        self._closed = False

    def put(self, news: T) -> None:
        """Say it; after `close` nobody is told."""
        if not self._closed:
            self._queue.put_nowait(news)

    def close(self) -> None:
        """Let the consumer end after what it was not told yet. May be called twice."""
        if not self._closed:
            self._closed = True
            self._queue.put_nowait(None)

    async def stream(self) -> AsyncIterator[T]:
        """Yield each piece of news until closed."""
        while (news := await self._queue.get()) is not None:
            yield news
        # Whoever asks again after the end is told so again.
        self._queue.put_nowait(None)
