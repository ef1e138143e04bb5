"""From a wire that was joined to one that is trusted: TLS, then whose certificate it was.

Until the last of it nothing of a workload is sent, and nothing that came is passed on.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from flow_contract.tunnels import Side
from party_agent.tunnel.credentials import Credentials
from party_agent.tunnel.frames import HEADER_BYTES, FrameBroken, Outcome, frame, outcome_of
from party_agent.tunnel.sealing import NoSeal, Scratch, Seal, TlsSeal, WireEnded
from party_agent.tunnel.trust import check_peer

_READ_BYTES = 64 * 1024
_OUTCOME_BYTES = HEADER_BYTES + 1


class CredentialsSource(Protocol):
    """Knows the credentials in force."""

    def current(self) -> Credentials:
        """Return them. Raises NoCredentials."""


async def secure(
    wire: socket.socket,
    side: Side,
    *,
    source: CredentialsSource | None,
    federated_id: str,
    now: Callable[[], datetime],
) -> Seal:
    """Return the seal of a wire to that party; `source` None means that nobody has identities.

    Raises:
        OSError, ssl.SSLError, WireEnded: there was no handshake.
        NoCredentials: this site has nothing to show.
        PeerUntrusted: the other side is not that party.
    """
    if source is None:
        return NoSeal()
    credentials = source.current()
    is_server = side is Side.ANSWERS
    seal = TlsSeal(credentials.answers if is_server else credentials.dials, is_server=is_server)
    await _shake_hands(wire, seal)
    check_peer(
        seal.peer_certificate,
        authorities_pem=credentials.authorities_pem,
        federated_id=federated_id,
        now=now(),
    )
    return seal


async def tell(wire: socket.socket, seal: Seal, outcome: Outcome) -> None:
    """Send the first frame of the answering side. Raises OSError."""
    told = seal.seal(memoryview(frame(bytes([outcome]))))
    await asyncio.get_running_loop().sock_sendall(wire, told)


async def hear(wire: socket.socket, seal: Seal, scratch: Scratch) -> tuple[Outcome, bytes]:
    """Return the first frame of the answering side, and what came with it.

    Raises:
        OSError, ssl.SSLError, WireEnded: none came.
        FrameBroken: it is no outcome.
    """
    # A handshake may have brought more than itself.
    opened = bytes(seal.unseal(memoryview(b""), scratch))
    while len(opened) < _OUTCOME_BYTES:
        data = await asyncio.get_running_loop().sock_recv(wire, _READ_BYTES)
        if not data:
            raise WireEnded
        opened += seal.unseal(memoryview(data), scratch)
    if int.from_bytes(opened[:HEADER_BYTES], "big") != 1:
        raise FrameBroken("the first frame is no outcome")
    return outcome_of(opened[HEADER_BYTES:_OUTCOME_BYTES]), opened[_OUTCOME_BYTES:]


async def _shake_hands(wire: socket.socket, seal: TlsSeal) -> None:
    loop = asyncio.get_running_loop()
    data, is_done = b"", False
    while not is_done:
        try:
            to_send, is_done = seal.shake_hands(data)
        except ssl.SSLError:
            if farewell := seal.farewell():
                await loop.sock_sendall(wire, farewell)
            raise
        if to_send:
            await loop.sock_sendall(wire, to_send)
        if not is_done:
            data = await loop.sock_recv(wire, _READ_BYTES)
            if not data:
                raise WireEnded
