"""Strangers at the relay's door: what they are asked, and how many there may be at once.

Nobody is asked who he is, so anybody may come: what keeps a flood or a slow talker from shutting
others out is that the oldest of those who have proven nothing makes room for the newest.
"""

import asyncio
import secrets
import socket
from collections import defaultdict

from flow_contract.tunnels import HELLO, JOINING_BYTES, NONCE_BYTES
from flow_server.relay.counts import Refusal, RelayCounts
from flow_server.relay.limits import RelayLimits
from flow_server.relay.tickets import Pass, Tickets


class Refused(Exception):
    """A stranger gets no further; `why` is for the counts, and not for the stranger."""

    def __init__(self, why: Refusal) -> None:
        super().__init__(why.value)
        self.why = why


class Door:
    """Those who have connected and not proven anything yet."""

    def __init__(self, tickets: Tickets, limits: RelayLimits, counts: RelayCounts) -> None:
        self._tickets = tickets
        self._limits = limits
        self._counts = counts
        # Both in the order in which they came.
        self._all: dict[asyncio.Task[Pass], str] = {}
        self._by_address: defaultdict[str, dict[asyncio.Task[Pass], None]] = defaultdict(dict)

    def enter(self, task: asyncio.Task[Pass], address: str) -> None:
        """Count the stranger that this task attends to; the oldest one leaves if that is many."""
        self._all[task] = address
        self._by_address[address][task] = None
        if len(self._by_address[address]) > max(1, self._limits.strangers // 2):
            self._crowd_out(next(iter(self._by_address[address])))
        elif len(self._all) > self._limits.strangers:
            self._crowd_out(next(iter(self._all)))
        self._counts.strangers_now = len(self._all)

    def leave(self, task: asyncio.Task[Pass]) -> bool:
        """Count it no more; False if it was crowded out."""
        address = self._all.pop(task, None)
        if address is None:
            return False
        tasks = self._by_address[address]
        del tasks[task]
        if not tasks:
            del self._by_address[address]
        self._counts.strangers_now = len(self._all)
        return True

    async def prove(self, sock: socket.socket) -> Pass:
        """Return whose side this is.

        Raises:
            Refused: nobody's, or he does not say in time.
        """
        loop = asyncio.get_running_loop()
        nonce = secrets.token_bytes(NONCE_BYTES)
        joining = b""
        try:
            async with asyncio.timeout(self._limits.handshake_s):
                await loop.sock_sendall(sock, HELLO + nonce)
                # No byte more: what follows is the tunnel's.
                while len(joining) < JOINING_BYTES:
                    part = await loop.sock_recv(sock, JOINING_BYTES - len(joining))
                    if not part:
                        raise Refused(Refusal.SILENT)
                    joining += part
        except (OSError, TimeoutError):
            raise Refused(Refusal.SILENT) from None
        admitted = self._tickets.admit(joining, nonce)
        if admitted is None:
            raise Refused(Refusal.REFUSED)
        return admitted

    def _crowd_out(self, task: asyncio.Task[Pass]) -> None:
        self.leave(task)
        task.cancel()
