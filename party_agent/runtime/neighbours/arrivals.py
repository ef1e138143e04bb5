"""A queue between threads and loops, closed by either, whose readers may be cancelled."""

import asyncio
import threading
from collections import deque
from typing import Generic, TypeVar

from party_agent.runtime.port import RuntimeUnavailable

T = TypeVar("T")


class Arrivals(Generic[T]):
    """Holds what has arrived; any thread puts, any loop waits. Idle it has no task, no thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._items: deque[T] = deque()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._closed = False

    def put(self, item: T) -> bool:
        """Add an item; False if closed, and the item stays the caller's."""
        with self._lock:
            if self._closed:
                return False
            self._items.append(item)
            self._wake()
        return True

    async def next(self) -> T:
        """Return the oldest item.

        Raises:
            RuntimeUnavailable: closed.
        """
        while True:
            with self._lock:
                if self._closed:
                    raise RuntimeUnavailable("the workload's sockets are closed")
                if self._items:
                    return self._items.popleft()
                loop = asyncio.get_running_loop()
                waiter = (loop, loop.create_future())
                self._waiting.append(waiter)
            try:
                await waiter[1]
            finally:
                with self._lock:
                    if waiter in self._waiting:
                        self._waiting.remove(waiter)

    def close(self) -> list[T]:
        """Let nobody wait any longer, and return what nobody took. May be called twice."""
        with self._lock:
            self._closed = True
            left = list(self._items)
            self._items.clear()
            self._wake()
        return left

    def _wake(self) -> None:
        for loop, waiter in self._waiting:
            if not loop.is_closed():
                loop.call_soon_threadsafe(_let_go, waiter)
        self._waiting.clear()


def _let_go(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
