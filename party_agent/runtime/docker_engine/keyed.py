"""Work that is never left half-done: one at a time per key, and to its end if cancelled."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import structlog

from party_agent.runtime.port import RuntimeRefused, RuntimeUnavailable

log = structlog.get_logger()

T = TypeVar("T")


class KeyedWork:
    """Owns the engine work of all party runs.

    Invariant: at most one piece of work per key runs at a time; different keys never wait
    for each other. A caller that is cancelled leaves its piece running to its end, and the
    next piece of the same key waits for it, so nothing is seen half-made.
    """

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, key: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what `work` returns, once everything before it under `key` has ended."""

        async def alone() -> T:
            async with self._held(key):
                return await work()

        task = asyncio.create_task(alone())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            # Nobody hears how it ends any more.
            task.add_done_callback(_note_failure)
            raise

    async def settled(self, key: str) -> None:
        """Return once everything that was begun under `key` has ended."""
        async with self._held(key):
            pass

    async def aclose(self) -> None:
        """Return once all work has ended; its outcome belongs to those who asked for it."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    @asynccontextmanager
    async def _held(self, key: str) -> AsyncIterator[None]:
        lock, users = self._locks.get(key) or (asyncio.Lock(), 0)
        self._locks[key] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks[key]
            if users == 1:
                del self._locks[key]
            else:
                self._locks[key] = (lock, users - 1)


def _note_failure(task: asyncio.Task[Any]) -> None:
    """Log what an engine is known to come to; all else is told as the defect that it is."""
    error = None if task.cancelled() else task.exception()
    if error is None:
        return
    if isinstance(error, RuntimeUnavailable | RuntimeRefused):
        log.warning("abandoned_work_failed", error=str(error))
        return
    task.get_loop().call_exception_handler(
        {"message": "abandoned work failed", "exception": error, "task": task}
    )
