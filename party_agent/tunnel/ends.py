"""Both ends of a connection, from the ticket to the last byte; they live in the pumps' thread.

Whatever goes wrong before the first byte resets the workload's connection: it is never left
waiting. Each stage has a deadline.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import cast

import structlog

from flow_contract.tunnels import Side, Ticket
from party_agent.tunnel.counts import Count
from party_agent.tunnel.credentials import NoCredentials
from party_agent.tunnel.frames import END, FrameBroken, Outcome
from party_agent.tunnel.joining import NotJoined
from party_agent.tunnel.meeting import Meeting
from party_agent.tunnel.pump import Ended, Pump, reset
from party_agent.tunnel.rates import Valve
from party_agent.tunnel.sealing import Scratch, Seal, WireEnded
from party_agent.tunnel.securing import CredentialsSource, hear, secure, tell
from party_agent.tunnel.trust import PeerUntrusted

# From the ticket to the first byte: the relay's own patience, and both handshakes.
CONNECT_S = 30.0
# What a workload said right before its end may still be on its way; nobody waits for more.
LINGER_S = 30.0
# For a workload that was only asked whether it listens to see the end of it.
_PROBE_LINGER_S = 1.0

_FAILURES = (
    OSError,
    TimeoutError,
    ssl.SSLError,
    NotJoined,
    PeerUntrusted,
    NoCredentials,
    FrameBroken,
    WireEnded,
)

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Line:
    """One connection: its ticket, whose certificate the other end shows, and what it may cost.

    `valves` are those of what leaves and of what comes.
    """

    party_run_id: str
    ticket: Ticket
    federated_id: str
    count: Count
    valves: tuple[Valve, Valve]


class NotConnected(Exception):
    """No byte passed; the message says why. `is_untrusted`: someone else was there."""

    def __init__(self, message: str, *, is_untrusted: bool = False) -> None:
        super().__init__(message)
        self.is_untrusted = is_untrusted


class Ends:
    """What the ends of all connections of one agent share. Of one loop, once it is used."""

    def __init__(
        self,
        *,
        meeting: Meeting,
        source: CredentialsSource | None,
        now: Callable[[], datetime],
        idle_s: float,
        connect_s: float = CONNECT_S,
    ) -> None:
        self._meeting = meeting
        self._source = source
        self._now = now
        self._idle_s = idle_s
        self._connect_s = connect_s
        self._scratch = Scratch()
        # By party run; what is not in `pumps` yet is still on its way.
        self._pumps: dict[str, set[Pump]] = {}
        self._tasks: dict[str, set[asyncio.Task[object]]] = {}

    async def listen(self, address: str) -> int:
        """Let other sites dial this one at HOST:PORT too; return the port.

        Raises:
            DirectUnusable: it can't be listened at.
        """
        return self._meeting.listen(address)

    async def dial(self, line: Line, plain: socket.socket) -> Ended:
        """Pump between the workload that dialled and the peer's; `plain` is closed at the end.

        Raises:
            NotConnected: the workload was reset.
        """
        with self._registered(line):
            try:
                wire, seal, early = await self._reach(line)
            except BaseException:
                reset(plain)
                raise
            return await self._pump(line, plain, wire, seal, early)

    async def probe(self, line: Line) -> None:
        """Connect and leave at once. Raises NotConnected where nobody listens."""
        wire, seal, _ = await self._reach(line)
        try:
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(_PROBE_LINGER_S):
                await loop.sock_sendall(wire, seal.seal(memoryview(END)))
                while await loop.sock_recv(wire, 1024):
                    pass
        except (OSError, TimeoutError):
            # It listens, which is all that was asked.
            pass
        finally:
            wire.close()

    async def answer(self, line: Line, plain: socket.socket | Outcome) -> Ended:
        """Pump between the peer that dialled and the workload, or say what came of the dial.

        Raises:
            NotConnected: the workload was reset, if it was there.
        """
        with self._registered(line):
            return await self._answer(line, plain)

    async def end(self, party_run_id: str, settle_s: float) -> None:
        """Let the connections of a workload that has ended come to their ends.

        Returns when they have, or after `settle_s`. What is still on its way then goes on as long
        as it moves; what had not begun is given up.
        """
        tasks = self._tasks.get(party_run_id, set())
        if tasks:
            for pump in self._pumps.get(party_run_id, set()):
                pump.linger(LINGER_S)
            await asyncio.wait(tasks, timeout=settle_s)

    async def _answer(self, line: Line, plain: socket.socket | Outcome) -> Ended:
        try:
            async with asyncio.timeout(self._connect_s):
                wire, seal = await self._meet(line, Side.ANSWERS)
                try:
                    came = Outcome.CONNECTED if isinstance(plain, socket.socket) else plain
                    await tell(wire, seal, came)
                except BaseException:
                    wire.close()
                    raise
        except BaseException as error:
            if isinstance(plain, socket.socket):
                reset(plain)
            if isinstance(error, _FAILURES):
                raise _not_connected(error) from error
            raise
        if not isinstance(plain, socket.socket):
            wire.close()
            return Ended.DONE
        return await self._pump(line, plain, wire, seal, b"")

    @contextmanager
    def _registered(self, line: Line) -> Iterator[None]:
        task = cast(asyncio.Task[object], asyncio.current_task())
        tasks = self._tasks.setdefault(line.party_run_id, set())
        tasks.add(task)
        try:
            yield
        finally:
            tasks.discard(task)
            if not tasks:
                self._tasks.pop(line.party_run_id, None)
                self._pumps.pop(line.party_run_id, None)

    async def _reach(self, line: Line) -> tuple[socket.socket, Seal, bytes]:
        try:
            async with asyncio.timeout(self._connect_s):
                wire, seal = await self._meet(line, Side.DIALS)
                try:
                    outcome, early = await hear(wire, seal, self._scratch)
                    if outcome is not Outcome.CONNECTED:
                        raise NotJoined(f"the other side's dial was {outcome.name.lower()}")
                except BaseException:
                    wire.close()
                    raise
        except _FAILURES as error:
            raise _not_connected(error) from error
        return wire, seal, early

    async def _meet(self, line: Line, side: Side) -> tuple[socket.socket, Seal]:
        wire = await self._meeting.meet(line.ticket, side)
        try:
            seal = await secure(
                wire, side, source=self._source, federated_id=line.federated_id, now=self._now
            )
        except BaseException:
            wire.close()
            raise
        return wire, seal

    async def _pump(
        self, line: Line, plain: socket.socket, wire: socket.socket, seal: Seal, early: bytes
    ) -> Ended:
        pump = Pump(
            plain=plain,
            wire=wire,
            seal=seal,
            scratch=self._scratch,
            count=line.count,
            valves=line.valves,
            idle_s=self._idle_s,
            early=early,
        )
        pumps = self._pumps.setdefault(line.party_run_id, set())
        pumps.add(pump)
        try:
            return await pump.run()
        finally:
            pumps.discard(pump)


def _not_connected(error: BaseException) -> NotConnected:
    untrusted = isinstance(error, PeerUntrusted | ssl.SSLError)
    return NotConnected(str(error) or type(error).__name__, is_untrusted=untrusted)
