"""How an agent joins a tunnel: at a relay or at the other agent, and how it is joined itself.

See flow_contract.tunnels for the words. Every socket here is non-blocking and of the running
loop; who calls sets the deadline.
"""

import asyncio
import hmac
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress

from flow_contract.tunnels import (
    HELLO,
    JOINING_BYTES,
    NONCE_BYTES,
    TUNNEL_ID_BYTES,
    Joined,
    Side,
    Ticket,
    joining,
    proof,
)

# A peer, or a network on the way, that is gone without a word is noticed within two minutes, and
# what forgets silent connections is kept from it.
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
_UNACKNOWLEDGED_MS = 90_000


class NotJoined(Exception):
    """The tunnel did not come about; the message says why."""


async def connect(address: str) -> socket.socket:
    """Return a connection to HOST:PORT.

    Raises:
        OSError: nobody answers there.
        NotJoined: it is no address.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdecimal():
        raise NotJoined(f"{address!r} is no address")
    loop = asyncio.get_running_loop()
    failed: OSError | None = None
    for family, kind, protocol, _, place in await loop.getaddrinfo(
        host, int(port), type=socket.SOCK_STREAM
    ):
        wire = socket.socket(family, kind, protocol)
        try:
            tune(wire)
            await loop.sock_connect(wire, place)
        except OSError as error:
            wire.close()
            failed = error
        except BaseException:
            wire.close()
            raise
        else:
            return wire
    raise failed or OSError(f"{address} has no address")


def tune(wire: socket.socket) -> None:
    """Make a connection between sites send at once, and notice when the other side is gone."""
    wire.setblocking(False)  # noqa: FBT003  the socket's own signature
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    options = {**_KEEPALIVE, "TCP_USER_TIMEOUT": _UNACKNOWLEDGED_MS}
    for name, value in options.items():
        # Not every kernel has them all.
        with suppress(AttributeError, OSError):
            wire.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def join(address: str, ticket: Ticket, side: Side) -> socket.socket:
    """Return a wire to the other side, by whoever listens at `address`.

    Raises:
        OSError: nobody answers there, or breaks it off.
        NotJoined: it is nobody who joins tunnels, or does not join this one.
    """
    wire = await connect(address)
    try:
        await _ask(wire, ticket, side)
    except BaseException:
        wire.close()
        raise
    return wire


async def admit(wire: socket.socket, known: Callable[[bytes], Ticket | None]) -> Ticket:
    """Let who dialled join a tunnel in which this agent answers; return its ticket.

    Raises:
        OSError: who dialled is gone.
        NotJoined: it does not prove that it has a ticket that is `known`.
    """
    loop = asyncio.get_running_loop()
    nonce = secrets.token_bytes(NONCE_BYTES)
    await loop.sock_sendall(wire, HELLO + nonce)
    said = await exactly(wire, JOINING_BYTES)
    tunnel_id, side, shown = (
        said[:TUNNEL_ID_BYTES],
        said[TUNNEL_ID_BYTES],
        said[TUNNEL_ID_BYTES + 1 :],
    )
    ticket = known(tunnel_id)
    secret = secrets.token_bytes(len(nonce)) if ticket is None else ticket.secret
    is_proved = hmac.compare_digest(proof(secret, nonce, Side.DIALS), shown)
    if ticket is None or side != Side.DIALS or not is_proved:
        await loop.sock_sendall(wire, bytes([Joined.REFUSED]))
        raise NotJoined("who dialled has no ticket")
    return ticket


async def exactly(wire: socket.socket, size_bytes: int) -> bytes:
    """Return the next `size_bytes`. Raises NotJoined if fewer come."""
    loop = asyncio.get_running_loop()
    data = b""
    while len(data) < size_bytes:
        more = await loop.sock_recv(wire, size_bytes - len(data))
        if not more:
            raise NotJoined("it was closed in the middle of joining")
        data += more
    return data


async def _ask(wire: socket.socket, ticket: Ticket, side: Side) -> None:
    if await exactly(wire, len(HELLO)) != HELLO:
        raise NotJoined("what answers there joins no tunnels")
    nonce = await exactly(wire, NONCE_BYTES)
    await asyncio.get_running_loop().sock_sendall(wire, joining(ticket, nonce, side))
    (code,) = await exactly(wire, 1)
    if code != Joined.JOINED:
        with suppress(ValueError):
            raise NotJoined(f"the answer was {Joined(code).name.lower()}")
        raise NotJoined(f"the answer was {code}")
