"""One connection: bytes both ways between a workload's socket and the wire to another agent.

Nothing is read that can't be passed on: what waits is one read in each direction at most, and
whoever is slow is felt by the one who sends. An end of one direction is passed on as an end, a
break of anything as a reset.
"""

import asyncio
import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum

from party_agent.tunnel.counts import Count
from party_agent.tunnel.frames import END, HEADER_BYTES, FrameBroken, Unframer, put_header
from party_agent.tunnel.interest import Interest
from party_agent.tunnel.rates import Valve
from party_agent.tunnel.sealing import READ_BYTES, Scratch, Seal, WireEnded

_OUT, _IN = 0, 1
_RESET = struct.pack("ii", 1, 0)
# A rule may change while its old rate makes somebody wait.
_LOOK_AT_RATE_S = 1.0


class Ended(StrEnum):
    """How a connection ended."""

    DONE = "done"
    WORKLOAD_BROKE = "workload_broke"
    WIRE_BROKE = "wire_broke"
    IDLE = "idle"
    CANCELLED = "cancelled"


class Pump:
    """Owns both sockets, which are connected and non-blocking, and closes them.

    `early` is what was opened of the wire already and nobody has taken.
    """

    def __init__(
        self,
        *,
        plain: socket.socket,
        wire: socket.socket,
        seal: Seal,
        scratch: Scratch,
        count: Count,
        valves: tuple[Valve, Valve],
        idle_s: float,
        early: bytes = b"",
    ) -> None:
        """Take the sockets; `valves` are those of what leaves and of what comes."""
        self._plain, self._wire, self._seal = plain, wire, seal
        self._scratch = scratch
        self._count = count
        self._valves = valves
        self._idle_s = idle_s
        self._early = early
        self._unframer = Unframer()
        self._loop = asyncio.get_running_loop()
        self._how: Ended | None = None
        self._ended: asyncio.Future[Ended] = self._loop.create_future()
        # What a full socket would not take yet.
        self._to_wire: memoryview | None = None
        self._to_plain: deque[memoryview] = deque()
        self._has_sent_end = self._has_shut_plain = False
        self._held = [False, False]
        self._is_counted = False
        self._plain_interest = Interest(
            self._loop, plain, readable=self._plain_readable, writable=self._plain_writable
        )
        self._wire_interest = Interest(
            self._loop, wire, readable=self._wire_readable, writable=self._wire_writable
        )
        self._moved_s = self._loop.time()
        self._idle_timer = self._loop.call_later(idle_s, self._look_idle)

    async def run(self) -> Ended:
        """Pump until both directions have ended or anything broke; then both sockets are closed."""
        try:
            if self._early:
                self._guard(self._take, memoryview(self._early))
            self._watch()
            return await self._ended
        except asyncio.CancelledError:
            self._end(Ended.CANCELLED)
            raise
        finally:
            self._idle_timer.cancel()

    def linger(self, idle_s: float) -> None:
        """Go on only as long as something moves at least every `idle_s`: nobody is behind it."""
        self._idle_s = min(self._idle_s, idle_s)
        if self._how is None:
            self._idle_timer.cancel()
            self._look_idle()

    def _plain_readable(self) -> None:
        self._guard(self._read_plain)
        self._watch()

    def _wire_readable(self) -> None:
        self._guard(self._read_wire)
        self._watch()

    def _plain_writable(self) -> None:
        self._guard(self._flush_plain)
        self._watch()

    def _wire_writable(self) -> None:
        self._guard(self._flush_wire)
        self._watch()

    def _read_plain(self) -> None:
        most = self._valves[_OUT].most_bytes(READ_BYTES)
        buffer = self._scratch.outgoing
        try:
            count = self._plain.recv_into(buffer[HEADER_BYTES:], most - HEADER_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._end(Ended.WORKLOAD_BROKE)
            return
        if count:
            put_header(buffer, count)
            self._count.sent_bytes += count
            self._count_once()
            self._hold(_OUT, count)
            self._send_wire(self._seal.seal(buffer[: HEADER_BYTES + count]))
        else:
            self._has_sent_end = True
            self._send_wire(self._seal.seal(memoryview(END)))

    def _send_wire(self, data: bytes) -> None:
        self._to_wire = memoryview(data)
        self._flush_wire()

    def _flush_wire(self) -> None:
        if self._to_wire is None:
            return
        try:
            sent = self._wire.send(self._to_wire)
        except (BlockingIOError, InterruptedError):
            return
        self._moved_s = self._loop.time()
        self._to_wire = self._to_wire[sent:] if sent < len(self._to_wire) else None

    def _read_wire(self) -> None:
        most = self._valves[_IN].most_bytes(READ_BYTES)
        buffer = self._scratch.incoming
        try:
            count = self._wire.recv_into(buffer, most)
        except (BlockingIOError, InterruptedError):
            return
        if not count:
            raise WireEnded
        self._take(self._seal.unseal(buffer[:count], self._scratch))

    def _take(self, opened: memoryview) -> None:
        received = 0
        for piece in self._unframer.feed(opened):
            received += len(piece)
            self._send_plain(piece)
        self._count.received_bytes += received
        if received:
            self._moved_s = self._loop.time()
            self._count_once()
            self._hold(_IN, received)
        self._pass_end_on()

    def _send_plain(self, piece: memoryview) -> None:
        sent = 0
        if not self._to_plain and self._how is None:
            try:
                sent = self._plain.send(piece)
            except (BlockingIOError, InterruptedError):
                pass
            except OSError:
                self._end(Ended.WORKLOAD_BROKE)
                return
        if sent < len(piece):
            # The buffer is another connection's next.
            self._to_plain.append(memoryview(bytes(piece[sent:])))

    def _flush_plain(self) -> None:
        while self._to_plain:
            piece = self._to_plain[0]
            try:
                sent = self._plain.send(piece)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self._end(Ended.WORKLOAD_BROKE)
                return
            self._moved_s = self._loop.time()
            if sent < len(piece):
                self._to_plain[0] = piece[sent:]
                return
            self._to_plain.popleft()
        self._pass_end_on()

    def _pass_end_on(self) -> None:
        if self._unframer.has_ended and not self._to_plain and not self._has_shut_plain:
            self._has_shut_plain = True
            with suppress(OSError):
                self._plain.shutdown(socket.SHUT_WR)

    def _guard(self, action: Callable[..., None], *args: memoryview) -> None:
        if self._how is not None:
            return
        try:
            action(*args)
        except WireEnded:
            self._end(Ended.DONE if self._is_over() else Ended.WIRE_BROKE)
        except (OSError, ssl.SSLError, FrameBroken):
            self._end(Ended.WIRE_BROKE)

    def _is_over(self) -> bool:
        return self._has_sent_end and self._has_shut_plain and self._to_wire is None

    def _count_once(self) -> None:
        # One that only asked whether somebody listens is no connection.
        self._count.connections += not self._is_counted
        self._is_counted = True

    def _hold(self, way: int, size_bytes: int) -> None:
        wait_s = self._valves[way].take(size_bytes, self._loop.time())
        if wait_s > 0:
            self._held[way] = True
            self._loop.call_later(min(wait_s, _LOOK_AT_RATE_S), self._let_go, way)

    def _let_go(self, way: int) -> None:
        if self._how is not None:
            return
        wait_s = self._valves[way].wait_s(self._loop.time())
        if wait_s > 0:
            self._loop.call_later(min(wait_s, _LOOK_AT_RATE_S), self._let_go, way)
            return
        self._held[way] = False
        self._watch()

    def _look_idle(self) -> None:
        left_s = self._moved_s + self._idle_s - self._loop.time()
        if left_s <= 0:
            self._end(Ended.IDLE)
        else:
            self._idle_timer = self._loop.call_later(left_s, self._look_idle)

    def _watch(self) -> None:
        """Look out for what can be done next, and for nothing else."""
        if self._how is not None:
            return
        if self._is_over() and self._unframer.has_ended:
            self._end(Ended.DONE)
            return
        must_flush = self._to_wire is not None
        self._plain_interest.want(
            read=not (self._has_sent_end or must_flush or self._held[_OUT]),
            write=bool(self._to_plain),
        )
        self._wire_interest.want(read=not (self._to_plain or self._held[_IN]), write=must_flush)

    def _end(self, how: Ended) -> None:
        if self._how is not None:
            return
        self._how = how
        if not self._ended.done():
            self._ended.set_result(how)
        self._plain_interest.close()
        self._wire_interest.close()
        if how is not Ended.DONE:
            reset(self._plain)
        self._plain.close()
        self._wire.close()


def reset(plain: socket.socket) -> None:
    """Close a workload's connection in a way that it can't take for an end."""
    with suppress(OSError):
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    plain.close()
