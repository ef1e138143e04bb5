"""Threads for blocking calls: short ones apart from those that wait.

Many slow stops or pulls must not hold up a start.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from party_agent.runtime.port import RuntimeUnavailable

T = TypeVar("T")

CALL_THREADS = 16
WAIT_THREADS = 32


class Threads:
    """Two pools. A cancelled caller leaves its thread working to its own end."""

    def __init__(self) -> None:
        self._calls: ThreadPoolExecutor | None = None
        self._waits: ThreadPoolExecutor | None = None

    def open(self) -> None:
        """Accept work."""
        self._calls = ThreadPoolExecutor(CALL_THREADS, "docker-call")
        self._waits = ThreadPoolExecutor(WAIT_THREADS, "docker-wait")

    async def aclose(self) -> None:
        """Accept no more work and let short work end. May be called twice."""
        calls, waits = self._calls, self._waits
        self._calls = self._waits = None
        if waits is not None:
            # A stop that nobody waits for any more may last as long as its grace.
            waits.shutdown(wait=False, cancel_futures=True)
        if calls is not None:
            await asyncio.to_thread(calls.shutdown, wait=True, cancel_futures=True)

    async def call(self, work: Callable[[], T]) -> T:
        """Return what `work` returns; it is bounded by the engine client's time-out.

        Raises:
            RuntimeUnavailable: not open.
        """
        return await _run(self._calls, work)

    async def wait(self, work: Callable[[], T]) -> T:
        """Return what `work` returns; it may last.

        Raises:
            RuntimeUnavailable: not open.
        """
        return await _run(self._waits, work)


async def _run(pool: ThreadPoolExecutor | None, work: Callable[[], T]) -> T:
    if pool is None:
        raise RuntimeUnavailable("the container engine is not connected")
    return await asyncio.get_running_loop().run_in_executor(pool, work)
