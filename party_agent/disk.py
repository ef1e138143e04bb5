"""Threads for looking at site data: a dead network disk must not hold up anything else."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_THREADS = 8


class Disk:
    """Calls what may block for as long as a disk likes; no threads before the first call."""

    def __init__(self, *, threads: int = _THREADS) -> None:
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None

    async def do(self, work: Callable[[], T]) -> T:
        """Return what `work` returns; a cancelled caller leaves it to its own end."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="disk")
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """Begin nothing more, and wait for nobody. May be called twice."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
