"""Bringing the two sides of a tunnel together."""

import asyncio
import contextlib
import socket
from collections import Counter
from dataclasses import dataclass

from flow_contract.tunnels import Joined
from flow_server.relay.counts import Refusal, RelayCounts
from flow_server.relay.limits import RelayLimits
from flow_server.relay.tickets import Pass, Tickets
from flow_server.relay.tunnel import Tunnel, Workspace, reset


@dataclass(frozen=True, kw_only=True)
class _Waiting:
    sock: socket.socket
    until: asyncio.TimerHandle


class Meetings:
    """The sides that wait for each other, and the tunnels that came of it. Owns their sockets."""

    def __init__(
        self, tickets: Tickets, limits: RelayLimits, counts: RelayCounts, space: Workspace
    ) -> None:
        self._tickets = tickets
        self._limits = limits
        self._counts = counts
        self._space = space
        self._waiting: dict[bytes, _Waiting] = {}
        self._tunnels: dict[Tunnel, str] = {}
        self._by_opener: Counter[str] = Counter()

    def bring(self, admitted: Pass, sock: socket.socket) -> None:
        """Take this side to the other, or let it wait for `pairing_s` at most.

        Who waits and leaves is waited for no longer: the other is refused at once.
        """
        other = self._let_go(admitted.tunnel_id)
        if other is not None:
            self._join(admitted.opened_by, other, sock)
            return
        self._waiting[admitted.tunnel_id] = _Waiting(
            sock=sock,
            until=self._space.loop.call_later(
                self._limits.pairing_s, self._alone, admitted.tunnel_id
            ),
        )
        self._space.loop.add_reader(sock, self._heard, admitted.tunnel_id)
        self._count()

    def break_idle(self) -> int:
        """Break off the tunnels in which nothing has moved for `idle_s`; return how many."""
        since_s = self._space.loop.time() - self._limits.idle_s
        idle = [tunnel for tunnel in self._tunnels if tunnel.used_s <= since_s]
        for tunnel in idle:
            tunnel.break_off()
        return len(idle)

    def break_all(self) -> None:
        """Break off every tunnel, and send away whoever waits for one."""
        for tunnel in list(self._tunnels):
            tunnel.break_off()
        for tunnel_id in list(self._waiting):
            sock = self._let_go(tunnel_id)
            if sock is not None:
                reset(sock)

    def _let_go(self, tunnel_id: bytes) -> socket.socket | None:
        """Return the side that waited; nobody can come to it any more."""
        waiting = self._waiting.pop(tunnel_id, None)
        if waiting is None:
            return None
        self._tickets.withdraw(tunnel_id)
        waiting.until.cancel()
        self._space.loop.remove_reader(waiting.sock)
        self._count()
        return waiting.sock

    def _alone(self, tunnel_id: bytes) -> None:
        sock = self._let_go(tunnel_id)
        if sock is not None:
            self._refuse(sock, Joined.ALONE, Refusal.ALONE)

    def _heard(self, tunnel_id: bytes) -> None:
        sock = self._waiting[tunnel_id].sock
        try:
            has_left = not sock.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            has_left = True
        # What it says before it is told to it says to the other side.
        self._space.loop.remove_reader(sock)
        if has_left:
            self._let_go(tunnel_id)
            self._counts.refusals[Refusal.LEFT] += 1
            sock.close()

    def _join(self, opener: str, one: socket.socket, other: socket.socket) -> None:
        most = self._limits.tunnels
        if len(self._tunnels) >= most or self._by_opener[opener] >= max(1, most // 2):
            for sock in (one, other):
                self._refuse(sock, Joined.BUSY, Refusal.BUSY)
            return
        tunnel = Tunnel(self._space, one, other, on_end=self._ended)
        self._tunnels[tunnel] = opener
        self._by_opener[opener] += 1
        self._counts.tunnels += 1
        self._count()
        try:
            for sock in (one, other):
                # One byte, where only twenty were sent before: there is room.
                sock.send(bytes([Joined.JOINED]))
        except OSError:
            tunnel.break_off()
        else:
            tunnel.begin()

    def _ended(self, tunnel: Tunnel) -> None:
        opener = self._tunnels.pop(tunnel)
        self._by_opener[opener] -= 1
        if not self._by_opener[opener]:
            del self._by_opener[opener]
        self._count()

    def _refuse(self, sock: socket.socket, answer: Joined, why: Refusal) -> None:
        self._counts.refusals[why] += 1
        with contextlib.suppress(OSError):
            sock.send(bytes([answer]))
        sock.close()

    def _count(self) -> None:
        self._counts.waiting_now = len(self._waiting)
        self._counts.tunnels_now = len(self._tunnels)
