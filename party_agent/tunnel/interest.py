"""What the event loop looks out for on one socket: no more than somebody can do something about."""

import asyncio
import socket
from collections.abc import Callable


class Interest:
    """Calls `readable` and `writable` as long as it is told to; `close` before the socket is."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        stream: socket.socket,
        *,
        readable: Callable[[], None],
        writable: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._stream = stream
        self._readable = readable
        self._writable = writable
        self._reads = self._writes = False

    def want(self, *, read: bool, write: bool) -> None:
        """Look out for this from now on."""
        if read != self._reads:
            self._reads = read
            if read:
                self._loop.add_reader(self._stream, self._readable)
            else:
                self._loop.remove_reader(self._stream)
        if write != self._writes:
            self._writes = write
            if write:
                self._loop.add_writer(self._stream, self._writable)
            else:
                self._loop.remove_writer(self._stream)

    def close(self) -> None:
        """Look out for nothing."""
        self.want(read=False, write=False)
