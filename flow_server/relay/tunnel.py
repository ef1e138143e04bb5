"""One tunnel: two sockets and what flows between them, each way by itself.

What one side ends with FIN ends with FIN at the other, and the other way goes on; what breaks at
one side is reset at the other. A side that does not read holds the one that writes: of what it
has not taken, one chunk is kept here, and no more is read.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable

from flow_server.relay.counts import RelayCounts

# Closing sends RST, so that nobody takes what broke for what ended.
_NO_LINGER = struct.pack("ii", 1, 0)
# The larger the chunks the fewer the calls: 0.40 s/GB with 1 MiB, 0.65 with 64 KiB.
_CHUNK_BYTES = 1 << 20
_SMALL_CHUNK_BYTES = 1 << 16
# With more than this waiting for sides that don't read, chunks are small.
_MUCH_HELD_BYTES = 1 << 27


class Workspace:
    """What all tunnels of one loop share: the buffer, and how much they hold back."""

    def __init__(self, loop: asyncio.AbstractEventLoop, counts: RelayCounts) -> None:
        self.loop = loop
        self.counts = counts
        self.held_bytes = 0
        self._chunk = memoryview(bytearray(_CHUNK_BYTES))
        self._small_chunk = self._chunk[:_SMALL_CHUNK_BYTES]

    @property
    def chunk(self) -> memoryview:
        """What to read into; to be used up before anybody else reads."""
        return self._chunk if self.held_bytes < _MUCH_HELD_BYTES else self._small_chunk


def reset(sock: socket.socket) -> None:
    """Close with RST; who has the other end learns that something broke."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    sock.close()


class Tunnel:
    """Owns both sockets, which don't block. `on_end` is called once, when both are closed."""

    def __init__(
        self,
        space: Workspace,
        one: socket.socket,
        other: socket.socket,
        *,
        on_end: Callable[["Tunnel"], None],
    ) -> None:
        self._sockets = (one, other)
        self._on_end = on_end
        self._is_over = False
        self.used_s = space.loop.time()
        self._flows = (_Flow(self, space, one, other), _Flow(self, space, other, one))

    def begin(self) -> None:
        """Let it flow."""
        for flow in self._flows:
            flow.begin()

    def flow_ended(self) -> None:
        """End the tunnel once nothing flows either way."""
        if all(flow.has_ended for flow in self._flows):
            self._end(socket.socket.close)

    def break_off(self) -> None:
        """Reset both sides. May be called twice."""
        self._end(reset)

    def _end(self, close: Callable[[socket.socket], None]) -> None:
        if self._is_over:
            return
        self._is_over = True
        for flow in self._flows:
            flow.stop()
        for sock in self._sockets:
            close(sock)
        self._on_end(self)


class _Flow:
    """One way of a tunnel."""

    def __init__(
        self, tunnel: Tunnel, space: Workspace, source: socket.socket, target: socket.socket
    ) -> None:
        self._tunnel = tunnel
        self._space = space
        self._source = source
        self._target = target
        self._rest = memoryview(b"")
        self.has_ended = False

    def begin(self) -> None:
        self._space.loop.add_reader(self._source, self._read)

    def stop(self) -> None:
        self._space.loop.remove_reader(self._source)
        self._space.loop.remove_writer(self._target)
        self._hold(memoryview(b""))

    def _read(self) -> None:
        chunk = self._space.chunk
        try:
            count = self._source.recv_into(chunk)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._tunnel.break_off()
            return
        if count:
            self._space.counts.carried_bytes += count
            self._tunnel.used_s = self._space.loop.time()
            self._write(chunk[:count])
        else:
            self._finish()

    def _finish(self) -> None:
        self._space.loop.remove_reader(self._source)
        self.has_ended = True
        try:
            self._target.shutdown(socket.SHUT_WR)
        except OSError:
            self._tunnel.break_off()
            return
        self._tunnel.flow_ended()

    def _write(self, data: memoryview) -> None:
        try:
            sent = self._target.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self._tunnel.break_off()
            return
        if sent < len(data):
            # A copy: the next one reads into the same buffer.
            self._hold(memoryview(bytes(data[sent:])))
            self._space.loop.remove_reader(self._source)
            self._space.loop.add_writer(self._target, self._write_rest)

    def _write_rest(self) -> None:
        try:
            sent = self._target.send(self._rest)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._tunnel.break_off()
            return
        self._tunnel.used_s = self._space.loop.time()
        self._hold(self._rest[sent:])
        if not self._rest:
            self._space.loop.remove_writer(self._target)
            self._space.loop.add_reader(self._source, self._read)

    def _hold(self, rest: memoryview) -> None:
        self._space.held_bytes += len(rest) - len(self._rest)
        self._rest = rest
