"""One live agent connection: what is still to be sent over it, and its end."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from flow_contract.assignments import Assignment
from flow_contract.errors import FlowError, Kind, StaleLease, Unavailable
from flow_contract.tunnels import Offer

# An agent that does not read while this many party runs change is cut off; it then reconnects
# and gets the whole set anew, which costs less memory than remembering every step for it.
MAX_WAITING_ASSIGNMENTS = 20_000
MAX_WAITING_ACKNOWLEDGEMENTS = 100_000
# Who asks for one more is told so: it is of use for seconds only.
MAX_WAITING_TUNNEL_OFFERS = 2_000
# Of what an agent was told last: it hears a dozen times of ten thousand others that come.
PACE_STEP = 0.5
LEAST_PACE_STEP_S = 0.5

_DOES_NOT_READ = "the agent does not read what it is sent"


@dataclass(kw_only=True)
class Outgoing:
    """What one send carries: assignments (all there are, if `complete`) and acknowledgements.

    `spread_s` is over how long this server's agents are to come back, None where it is no news.
    `tunnel_offers` are urgent.
    """

    assignments: list[Assignment] = field(default_factory=list)
    complete: bool = False
    acknowledged: list[tuple[str, int]] = field(default_factory=list)
    spread_s: float | None = None
    tunnel_offers: list[Offer] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Say whether there is anything to send: an empty complete set is."""
        return bool(
            self.assignments
            or self.complete
            or self.acknowledged
            or self.tunnel_offers
            or self.spread_s is not None
        )


@dataclass(frozen=True, kw_only=True)
class Shown:
    """The certificate that a connection was admitted with."""

    serial: str
    not_after: datetime


def stale(message: str, federated_id: str) -> StaleLease:
    """Return the error of a connection that counts no more."""
    return StaleLease(message, kind=Kind.PARTY, subject_id=federated_id)


class Session:
    """The sending side of one connection.

    Invariant: what is offered is sent in the order offered, later offers of one party run
    after earlier ones. Offers of tunnels overtake all else.
    """

    def __init__(
        self,
        *,
        federated_id: str,
        epoch: int,
        certificate: Shown | None = None,
        spread_s: float = 0.0,
    ) -> None:
        """Begin; `spread_s` is what the agent was told at the greeting."""
        self.federated_id = federated_id
        self.epoch = epoch
        self.certificate = certificate
        self._told_spread_s = spread_s
        self._outgoing = Outgoing()
        self._changed = asyncio.Event()
        self._end: FlowError | None = None

    def offer(self, assignments: Sequence[Assignment], *, complete: bool) -> None:
        """Queue assignments; a complete set replaces what was queued and not yet sent."""
        if complete:
            self._outgoing.assignments = []
            self._outgoing.complete = True
        self._outgoing.assignments.extend(assignments)
        if len(self._outgoing.assignments) > MAX_WAITING_ASSIGNMENTS:
            self.end(stale(_DOES_NOT_READ, self.federated_id))
        self._changed.set()

    def acknowledge(self, keys: Sequence[tuple[str, int]]) -> None:
        """Queue acknowledgements of (party run, sequence)."""
        self._outgoing.acknowledged.extend(keys)
        if len(self._outgoing.acknowledged) > MAX_WAITING_ACKNOWLEDGEMENTS:
            self.end(stale(_DOES_NOT_READ, self.federated_id))
        self._changed.set()

    def offer_tunnel(self, offer: Offer) -> None:
        """Queue an offer of a tunnel.

        Raises:
            Unavailable: too many wait to be sent.
        """
        if len(self._outgoing.tunnel_offers) >= MAX_WAITING_TUNNEL_OFFERS:
            raise Unavailable(
                f"the agent of {self.federated_id!r} does not keep up with the connections that "
                "are being opened to it; try again in a moment",
                kind=Kind.PARTY,
                subject_id=self.federated_id,
            )
        self._outgoing.tunnel_offers.append(offer)
        self._changed.set()

    def urgent(self) -> list[Offer]:
        """Return what must not wait for the rest of what is being sent."""
        offers, self._outgoing.tunnel_offers = self._outgoing.tunnel_offers, []
        return offers

    def pace(self, spread_s: float) -> None:
        """Tell the agent over how long all are to come back, if that is much else than it knows."""
        told_s = self._told_spread_s
        if abs(spread_s - told_s) < max(LEAST_PACE_STEP_S, told_s * PACE_STEP):
            return
        self._told_spread_s = self._outgoing.spread_s = spread_s
        self._changed.set()

    def end(self, reason: FlowError) -> None:
        """Close the session from this side; the agent is told the first reason."""
        if self._end is None:
            self._end = reason
        self._changed.set()

    async def next(self) -> Outgoing:
        """Wait for something to send and return all of it.

        Raises:
            FlowError: the session was ended; nothing more is to be sent.
        """
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._end is not None:
                raise self._end
            if self._outgoing:
                outgoing, self._outgoing = self._outgoing, Outgoing()
                return outgoing
