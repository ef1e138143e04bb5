"""How two agents meet: tickets, and the words with which an agent joins a tunnel.

Whoever is dialled (a relay, or an agent that may be dialled directly) speaks first: HELLO and a
nonce of 16 random bytes. Who dials answers with `joining`: the tunnel's id, its side, and a proof
that it knows the ticket's secret, made with the nonce, so that what passes is good for nothing a
second time. Then comes one byte, a `Joined`; after JOINED the bytes are the two agents' own: TLS
between them, of which the relay knows nothing.
"""

import hashlib
import hmac
from dataclasses import dataclass
from enum import IntEnum

HELLO = b"FFR1"
NONCE_BYTES = 16
TUNNEL_ID_BYTES = 16
SECRET_BYTES = 32
JOINING_BYTES = TUNNEL_ID_BYTES + 1 + 32


class Side(IntEnum):
    """Which end of a tunnel somebody is: the one that opened it, or the one that is reached."""

    DIALS = 0
    ANSWERS = 1


class Joined(IntEnum):
    """What one who wants to join is told."""

    JOINED = 0
    # The ticket is unknown here, was used, or the proof is wrong: which of them, nobody is told.
    REFUSED = 1
    # The other end did not come in time.
    ALONE = 2
    # There is no room for one more.
    BUSY = 3


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """What lets the two ends of one connection meet, once. Addresses are host:port.

    A `relay_address` without a host means the host by which the agent dials its server.
    `direct_address` "" means that the answering agent can't be dialled. `secret` never shows.
    """

    tunnel_id: bytes
    secret: bytes
    relay_address: str
    direct_address: str = ""

    def __repr__(self) -> str:
        return f"Ticket({self.tunnel_id.hex()})"


@dataclass(frozen=True, kw_only=True)
class Offer:
    """That another member of the run wants to reach `port` of a workload.

    `peer_federated_id` is whose certificate the other end has to show.
    """

    ticket: Ticket
    party_run_id: str
    peer_party_run_id: str
    peer_federated_id: str
    port: int


def proof(secret: bytes, nonce: bytes, side: Side) -> bytes:
    """Return what only who holds the ticket's secret can make of this nonce: 32 bytes."""
    return hmac.digest(secret, b"fedflow tunnel" + bytes([side]) + nonce, hashlib.sha256)


def joining(ticket: Ticket, nonce: bytes, side: Side) -> bytes:
    """Return what an agent answers to HELLO and the nonce: JOINING_BYTES."""
    return ticket.tunnel_id + bytes([side]) + proof(ticket.secret, nonce, side)
