"""Where other sites may dial this one without a relay, if its policy names a place for that.

The agent plays the relay's part of the handshake. Who has no ticket that this agent has been told
of gets no further, and learns nothing.
"""

import asyncio
import socket
from contextlib import suppress

import structlog

from flow_contract.tunnels import Joined, Ticket
from party_agent.tunnel.joining import NotJoined, admit, tune

ADMIT_S = 10.0
# Who dials and says nothing takes nobody else's place for longer than that.
MAX_STRANGERS = 256
_BREATH_S = 0.1

log = structlog.get_logger()


class DirectUnusable(Exception):
    """Nobody can listen there; the message says where and why."""


class DirectListener:
    """Listens at one address, and hands each wire to who expects it. Of one loop, and its end."""

    def __init__(self) -> None:
        self._awaited: dict[bytes, tuple[Ticket, asyncio.Future[socket.socket]]] = {}
        self._strangers: set[asyncio.Task[None]] = set()
        self._accepting: asyncio.Task[None] | None = None

    def listen(self, address: str) -> int:
        """Begin to listen at HOST:PORT; return the port.

        Raises:
            DirectUnusable: it can't be listened at.
        """
        host, _, port = address.rpartition(":")
        host = host.strip("[]")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            listening = socket.create_server((host, int(port)), family=family, backlog=1024)
        except OSError as error:
            raise DirectUnusable(f"[tunnel] listen = {address!r}: {error}") from error
        listening.setblocking(False)  # noqa: FBT003  the socket's own signature
        self._accepting = asyncio.get_running_loop().create_task(self._accept(listening))
        return int(listening.getsockname()[1])

    async def expect(self, ticket: Ticket) -> socket.socket:
        """Return the wire of who comes with this ticket; once. Who gets it closes it."""
        future: asyncio.Future[socket.socket] = asyncio.get_running_loop().create_future()
        self._awaited[ticket.tunnel_id] = ticket, future
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                future.result().close()
            raise
        finally:
            self._awaited.pop(ticket.tunnel_id, None)

    async def _accept(self, listening: socket.socket) -> None:
        with listening:
            while True:
                try:
                    wire, _ = await asyncio.get_running_loop().sock_accept(listening)
                except OSError as error:
                    # Too many open files, or a connection that was gone before it was taken.
                    log.warning("direct_connection_not_taken", why=str(error))
                    await asyncio.sleep(_BREATH_S)
                    continue
                if len(self._strangers) >= MAX_STRANGERS:
                    wire.close()
                    continue
                task = asyncio.create_task(self._admit(wire))
                self._strangers.add(task)
                task.add_done_callback(self._strangers.discard)

    async def _admit(self, wire: socket.socket) -> None:
        try:
            tune(wire)
            async with asyncio.timeout(ADMIT_S):
                ticket = await admit(wire, self._known)
                _, future = self._awaited.pop(ticket.tunnel_id, (None, None))
                if future is None or future.done():
                    raise NotJoined("it came a second time")
                await asyncio.get_running_loop().sock_sendall(wire, bytes([Joined.JOINED]))
        except (OSError, TimeoutError, NotJoined) as error:
            log.info("direct_connection_refused", why=str(error) or "too slow")
            wire.close()
        except BaseException:
            wire.close()
            raise
        else:
            with suppress(asyncio.InvalidStateError):
                future.set_result(wire)
                return
            wire.close()

    def _known(self, tunnel_id: bytes) -> Ticket | None:
        known = self._awaited.get(tunnel_id)
        return None if known is None else known[0]
