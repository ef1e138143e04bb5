"""The relay in its own loop: who connects is asked, brought to the other side, or sent off."""

import asyncio
import contextlib
import socket
from functools import partial
from typing import NoReturn

import structlog

from flow_contract.tunnels import Joined
from flow_server.relay.counts import Refusal, RelayCounts
from flow_server.relay.limits import RelayLimits
from flow_server.relay.meetings import Meetings
from flow_server.relay.tickets import Pass, Tickets
from flow_server.relay.tunnel import Workspace
from flow_server.relay.welcome import Door, Refused

log = structlog.get_logger()

# Out of file descriptors, as a rule: some may be free after this.
_PAUSE_S = 0.2
_LOOKS_PER_IDLE_TIME = 10
_LONGEST_LOOK_S = 30.0
# A site whose machine has lost its power sends no end.
_KEEPALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))


class Attendant:
    """Attends to one listening socket, which stays its owner's; all in the loop that `run`s it."""

    def __init__(
        self, listening: socket.socket, tickets: Tickets, limits: RelayLimits, counts: RelayCounts
    ) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._listening = listening
        self._limits = limits
        self._counts = counts
        self._door = Door(tickets, limits, counts)
        self._meetings = Meetings(tickets, limits, counts, Workspace(loop, counts))
        self._tasks: set[asyncio.Task[Pass]] = set()

    async def run(self) -> None:
        """Attend until cancelled; then everything that is connected breaks."""
        try:
            async with asyncio.TaskGroup() as duties:
                duties.create_task(self._accept())
                duties.create_task(self._look_for_idle())
        finally:
            if self._tasks:
                for task in self._tasks:
                    task.cancel()
                await asyncio.wait(self._tasks)
            self._meetings.break_all()

    async def _accept(self) -> NoReturn:
        while True:
            try:
                sock, address = await self._loop.sock_accept(self._listening)
            except OSError as error:
                log.warning("relay_accepts_none", error=repr(error), pause_s=_PAUSE_S)
                await asyncio.sleep(_PAUSE_S)
                continue
            sock.settimeout(0)
            task = self._loop.create_task(self._door.prove(sock))
            self._tasks.add(task)
            task.add_done_callback(partial(self._asked, sock))
            self._door.enter(task, str(address[0]))

    def _asked(self, sock: socket.socket, task: asyncio.Task[Pass]) -> None:
        """Take the stranger on, or send it away. Here, since a task may end before it begins."""
        self._tasks.discard(task)
        was_crowded_out = not self._door.leave(task)
        if task.cancelled():
            self._counts.refusals[Refusal.CROWDED_OUT] += was_crowded_out
            sock.close()
            return
        error = task.exception()
        if error is None:
            _tune(sock)
            self._meetings.bring(task.result(), sock)
            return
        if not isinstance(error, Refused):
            sock.close()
            raise error
        self._counts.refusals[error.why] += 1
        if error.why is Refusal.REFUSED:
            with contextlib.suppress(OSError):
                sock.send(bytes([Joined.REFUSED]))
        sock.close()

    async def _look_for_idle(self) -> NoReturn:
        every_s = min(_LONGEST_LOOK_S, self._limits.idle_s / _LOOKS_PER_IDLE_TIME)
        while True:
            await asyncio.sleep(every_s)
            if broken := self._meetings.break_idle():
                log.info("relay_idle_broken", tunnels=broken)


def _tune(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        # Not every system has all of them.
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
