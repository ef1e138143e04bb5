"""Where two agents meet: directly where one of them may be dialled, else at the relay."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from flow_contract.tunnels import Side, Ticket
from party_agent.tunnel.direct import DirectListener
from party_agent.tunnel.joining import NotJoined, join

# Of the time for the whole, so that enough is left for the relay.
DIRECT_S = 3.0

log = structlog.get_logger()


class Meeting:
    """Finds the other side. `server_host` is for a relay that names no host of its own.

    `may_dial` is the site's rule about addresses, as HOST:PORT.
    """

    def __init__(
        self,
        *,
        server_host: str,
        may_dial: Callable[[str], bool],
    ) -> None:
        self._server_host = server_host
        self._may_dial = may_dial
        self._direct: DirectListener | None = None

    def listen(self, address: str) -> int:
        """Let other sites dial this one at HOST:PORT too; return the port. Of the pumps' loop.

        Raises:
            DirectUnusable: it can't be listened at.
        """
        direct = DirectListener()
        port = direct.listen(address)
        self._direct = direct
        return port

    async def meet(self, ticket: Ticket, side: Side) -> socket.socket:
        """Return a wire to the other side. Who calls sets the deadline.

        Raises:
            OSError: nobody answers at the relay.
            NotJoined: the other side is not there, or the site's rules forbid the address.
        """
        if side is Side.ANSWERS:
            return await self._await_or_join(ticket)
        if ticket.direct_address and self._may_dial(ticket.direct_address):
            try:
                async with asyncio.timeout(DIRECT_S):
                    return await join(ticket.direct_address, ticket, side)
            except (OSError, TimeoutError, NotJoined) as error:
                log.info("direct_not_reached", address=ticket.direct_address, why=str(error))
        return await self._at_relay(ticket, side)

    async def _await_or_join(self, ticket: Ticket) -> socket.socket:
        direct = self._direct
        if direct is None or not ticket.direct_address:
            return await self._at_relay(ticket, Side.ANSWERS)
        # Nobody knows by which way the other comes.
        return await _first_wire(direct.expect(ticket), self._at_relay(ticket, Side.ANSWERS))

    async def _at_relay(self, ticket: Ticket, side: Side) -> socket.socket:
        address = ticket.relay_address
        if not address:
            raise NotJoined("the server has no relay, and the other site can't be dialled")
        if address.startswith(":"):
            address = self._server_host + address
        if not self._may_dial(address):
            raise NotJoined(f"the site's rule tunnel.dial does not allow {address}")
        return await join(address, ticket, side)


async def _first_wire(*ways: Coroutine[Any, Any, socket.socket]) -> socket.socket:
    """Return the first wire; the other ways are given up, and raise only if none succeeds."""
    tasks = {asyncio.ensure_future(way) for way in ways}
    left, failed = set(tasks), None
    try:
        while left:
            done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                error = task.exception()
                if error is None:
                    tasks.discard(task)
                    return task.result()
                failed = error
    finally:
        for task in tasks:
            task.cancel()
        for each in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(each, socket.socket):
                each.close()
    raise failed or NotJoined("there is no way")
