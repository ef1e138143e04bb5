"""Tickets: who may meet whom at this relay, once. In memory, for a restart ends all tunnels."""

import hmac
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from flow_contract.errors import Kind, Unavailable
from flow_contract.tunnels import (
    JOINING_BYTES,
    NONCE_BYTES,
    SECRET_BYTES,
    TUNNEL_ID_BYTES,
    Side,
    Ticket,
    proof,
)
from flow_server.relay.limits import RelayLimits

# So that an unknown tunnel costs what a known one does.
_NOBODYS = secrets.token_bytes(SECRET_BYTES)


@dataclass(frozen=True, kw_only=True)
class Pass:
    """A side that has proven itself. `opened_by` is the party run that asked for the tunnel."""

    tunnel_id: bytes
    side: Side
    opened_by: str


@dataclass(kw_only=True)
class _Issued:
    secret: bytes
    opened_by: str
    expires_s: float
    used: set[Side] = field(default_factory=set)


class Tickets:
    """Tickets that were issued and have not led to a tunnel yet. Any thread may ask."""

    def __init__(
        self, limits: RelayLimits, *, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._limits = limits
        self._clock_s = clock_s
        self._lock = threading.Lock()
        # In the order of their expiry, for all last equally long.
        self._issued: dict[bytes, _Issued] = {}
        self._by_opener: Counter[str] = Counter()

    def issue(self, from_party_run: str, relay_address: str) -> Ticket:
        """Return a new ticket for one connection that this party run opens.

        Raises:
            Unavailable: too many are waiting to be used.
        """
        ticket = Ticket(
            tunnel_id=secrets.token_bytes(TUNNEL_ID_BYTES),
            secret=secrets.token_bytes(SECRET_BYTES),
            relay_address=relay_address,
        )
        with self._lock:
            self._forget_expired()
            if (
                len(self._issued) >= self._limits.tickets
                or self._by_opener[from_party_run] >= self._limits.tickets // 2
            ):
                raise Unavailable(
                    "too many connections are being opened at this relay; try again in a moment",
                    kind=Kind.SERVER,
                )
            self._issued[ticket.tunnel_id] = _Issued(
                secret=ticket.secret,
                opened_by=from_party_run,
                expires_s=self._clock_s() + self._limits.ticket_s,
            )
            self._by_opener[from_party_run] += 1
        return ticket

    def admit(self, joining: bytes, nonce: bytes) -> Pass | None:
        """Return whose side this proof admits, once; None where it admits nobody.

        `joining` is what an agent answered to `nonce`: see `flow_contract.tunnels.joining`.
        """
        if len(joining) != JOINING_BYTES or len(nonce) != NONCE_BYTES:
            return None
        tunnel_id, number = joining[:TUNNEL_ID_BYTES], joining[TUNNEL_ID_BYTES]
        side = Side.ANSWERS if number == Side.ANSWERS else Side.DIALS
        with self._lock:
            self._forget_expired()
            issued = self._issued.get(tunnel_id)
            secret = _NOBODYS if issued is None else issued.secret
            is_proven = hmac.compare_digest(
                proof(secret, nonce, side), joining[TUNNEL_ID_BYTES + 1 :]
            )
            if issued is None or not is_proven or number != side or side in issued.used:
                return None
            issued.used.add(side)
            return Pass(tunnel_id=tunnel_id, side=side, opened_by=issued.opened_by)

    def withdraw(self, tunnel_id: bytes) -> None:
        """Let nobody use this ticket any more; one that is gone already is none."""
        with self._lock:
            self._forget(tunnel_id)

    def __len__(self) -> int:
        """How many there are, expired ones that nobody looked for included."""
        return len(self._issued)

    def _forget_expired(self) -> None:
        now_s = self._clock_s()
        expired = []
        for tunnel_id, issued in self._issued.items():
            if issued.expires_s > now_s:
                break
            # Of which one side is there: the meeting ends it.
            if not issued.used:
                expired.append(tunnel_id)
        for tunnel_id in expired:
            self._forget(tunnel_id)

    def _forget(self, tunnel_id: bytes) -> None:
        issued = self._issued.pop(tunnel_id, None)
        if issued is None:
            return
        self._by_opener[issued.opened_by] -= 1
        if not self._by_opener[issued.opened_by]:
            del self._by_opener[issued.opened_by]
