"""Sockets over listeners that are open, wherever they are.

Loops of several threads may wait at the same time: connections are taken one by one, under a
lock, and only when somebody asks for one. What is not asked for waits in the kernel.
"""

import asyncio
import errno
import os
import select
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

import structlog

from party_agent.runtime.port import Dialled, RuntimeUnavailable

# Who was dialled by a connection; None if it was nobody that may be.
Resolve = Callable[[socket.socket], "tuple[str, int] | None"]

DIAL_TIMEOUT_S = 5.0
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_EXHAUSTED_PAUSE_S = 0.2

_log = structlog.get_logger(__name__)


class Listening:
    """See `Sockets`. The listeners, and what `release` lets go of, are closed with it.

    `own` are the addresses, in this order, at which the workload is looked for; `make` returns
    a new socket in its network. `lifeline` becomes readable, or is hung up, when that network
    is gone.
    """

    def __init__(
        self,
        listeners: Mapping[socket.socket, Resolve],
        *,
        own: tuple[str, ...],
        make: Callable[[], Awaitable[socket.socket]],
        release: Callable[[], None] = lambda: None,
        lifeline: int | None = None,
    ) -> None:
        self._listeners = dict(listeners)
        self._by_number = {each.fileno(): each for each in self._listeners}
        self._own = own
        self._make = make
        self._release = release
        self._lock = threading.Lock()
        self._closed = False
        self._waiting = 0
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._ready = select.epoll()
        self._ready.register(self._bell, select.EPOLLIN)
        for number in self._by_number:
            self._ready.register(number, select.EPOLLIN)
        self._life = select.poll()
        if lifeline is not None:
            hung_up = select.EPOLLRDHUP | select.EPOLLHUP
            # A process's descriptor is readable at its end; a stream's may have words for others.
            is_stream = _is_socket(lifeline)
            self._life.register(lifeline, hung_up if is_stream else select.POLLIN)
            self._ready.register(lifeline, hung_up if is_stream else select.EPOLLIN)

    async def dialled(self) -> Dialled:
        """See `Sockets.dialled`."""
        while True:
            try:
                found = self._next()
            except OSError as problem:
                if problem.errno not in _EXHAUSTED:
                    raise
                _log.warning("connection_not_accepted", error=str(problem))
                await asyncio.sleep(_EXHAUSTED_PAUSE_S)
                continue
            if found is not None:
                return found
            await self._until_ready()

    async def dial(self, port: int) -> socket.socket:
        """See `Sockets.dial`."""
        for address in self._own:
            self._check()
            stream = await self._make()
            try:
                stream.setblocking(False)  # noqa: FBT003  the socket's own signature
                async with asyncio.timeout(DIAL_TIMEOUT_S):
                    await asyncio.get_running_loop().sock_connect(stream, (address, port))
                stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except ConnectionRefusedError:
                stream.close()
            except TimeoutError:
                stream.close()
                raise RuntimeUnavailable(
                    f"the workload does not take connections at port {port}"
                ) from None
            except OSError as problem:
                stream.close()
                raise RuntimeUnavailable(f"port {port} can't be dialled: {problem}") from problem
            except BaseException:
                stream.close()
                raise
            else:
                return stream
        raise ConnectionRefusedError(errno.ECONNREFUSED, f"nobody listens on port {port}")

    async def aclose(self) -> None:
        """See `Sockets.aclose`."""
        self.close()

    def close(self) -> None:
        """Do the same from any thread."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for listener in self._listeners:
                listener.close()
            os.eventfd_write(self._bell, 1)
            self._let_go()
        self._release()

    @property
    def is_closed(self) -> bool:
        """Whether it has been closed."""
        return self._closed

    def _check(self) -> None:
        if self._closed:
            raise RuntimeUnavailable("the workload's sockets are closed")
        if self._life.poll(0):
            raise RuntimeUnavailable("the workload's network is gone")

    def _next(self) -> Dialled | None:
        """Return a connection that waits; None if there is none now."""
        with self._lock:
            self._check()
            for number, _ in self._ready.poll(0):
                listener = self._by_number.get(number)
                if listener is None:
                    continue
                # Gone again before it was taken, or taken by another loop.
                with suppress(BlockingIOError, ConnectionAbortedError):
                    stream, _ = listener.accept()
                    found = self._resolved(stream, self._listeners[listener])
                    if found is not None:
                        return found
        return None

    def _resolved(self, stream: socket.socket, resolve: Resolve) -> Dialled | None:
        try:
            dialled = resolve(stream)
            if dialled is not None:
                stream.setblocking(False)  # noqa: FBT003  the socket's own signature
                stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return Dialled(stream=stream, neighbour=dialled[0], port=dialled[1])
        except OSError as problem:
            _log.debug("connection_without_target", error=str(problem))
        stream.close()
        return None

    async def _until_ready(self) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        with self._lock:
            if self._closed:
                return
            self._waiting += 1
            # One of its own: a loop knows a descriptor once only.
            number = os.dup(self._ready.fileno())
        try:
            loop.add_reader(number, _say, ready)
            try:
                await ready
            finally:
                loop.remove_reader(number)
        finally:
            os.close(number)
            with self._lock:
                self._waiting -= 1
                self._let_go()

    def _let_go(self) -> None:
        if self._closed and not self._waiting and not self._ready.closed:
            self._ready.close()
            os.close(self._bell)


def _say(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)


def _is_socket(number: int) -> bool:
    with suppress(OSError):
        return os.readlink(f"/proc/self/fd/{number}").startswith("socket:")  # noqa: PTH115
    return False
