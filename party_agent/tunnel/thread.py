"""The thread in which a site's tunnels live: heartbeats and calls never wait for its bytes.

It begins with the first of them, so that a site that has none has no thread.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

import structlog
import uvloop

T = TypeVar("T")

# For what is open to be reset; a thread that hangs holds up nobody, for it ends with the process.
_CLOSE_S = 5.0

log = structlog.get_logger()


class PumpThread:
    """Runs coroutines in a loop of its own. Called from the agent's loop alone."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def start(self, make: Callable[[], Coroutine[Any, Any, T]]) -> Future[T]:
        """Run what `make` returns, both in the thread; its exceptions are the future's.

        Raises:
            RuntimeError: the thread was closed.
        """
        if self._is_closed:
            raise RuntimeError("the tunnels' thread was closed")
        return asyncio.run_coroutine_threadsafe(_made(make), self._running())

    async def do(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run what `make` returns, and wait for it; it is cancelled with the caller.

        Raises:
            RuntimeError: the thread was closed.
        """
        return await asyncio.wrap_future(self.start(make))

    async def carry(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run what `make` returns, and wait; it goes on without the caller, and `aclose` ends it.

        What it was given is its own from here on.

        Raises:
            RuntimeError: the thread was closed.
        """
        return await asyncio.shield(asyncio.wrap_future(self.start(make)))

    async def aclose(self) -> None:
        """End all that runs, and wait for it, but not for ever. May be called twice."""
        self._is_closed = True
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        self._loop = self._thread = None
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(loop.stop)
        await asyncio.to_thread(thread.join, _CLOSE_S)
        if thread.is_alive():
            log.error("tunnel_thread_left_behind")

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = uvloop.new_event_loop()
            self._thread = threading.Thread(
                target=_run, args=(self._loop,), name="tunnels", daemon=True
            )
            self._thread.start()
        return self._loop


async def _made(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    return await make()


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        # What was handed over and has not begun has sockets to close too.
        loop.run_until_complete(asyncio.sleep(0))
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.wait(tasks, timeout=_CLOSE_S / 2))
    finally:
        loop.close()
