"""Who may call how often and how much at once; counted before anything of a request is read.

A caller is counted by what it shows, good or not: a party's certificate, a token, and everybody
by address. Whether the proof is good is asked after that.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from flow_contract.errors import Exhausted, FlowError, Kind
from flow_server.domain.rates import Buckets, Places, Rate, address_of, seconds_to_wait
from flow_server.grpc_api.certificates import caller_from_certificate
from flow_server.grpc_api.context import Context

log = structlog.get_logger()

_CONNECT = "/fedflow.v1.AgentService/Connect"
_ENROL = "/fedflow.v1.EnrolmentService/Enrol"
_OPEN_TUNNEL = "/fedflow.v1.TunnelService/Open"
_HEADER = "authorization"
# One connection, the next one while the server has not seen the first one's end, and a renewal.
_CALLS_PER_PARTY = 8
# Apart from those: a workload may dial hundreds of times at once, and holds up nothing else so.
_OPENING_PER_PARTY = 1000
# Of refusals: a flood is not to fill the log.
_LOGGED = Rate(per_s=1, burst=10)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What callers may do; None means without limit. See `ServerSettings` for each."""

    per_token: Rate | None
    per_address: Rate | None
    calls_per_address: int | None
    connects_per_party: Rate | None
    wrong_enrolments_per_address: Rate | None


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """By what a call is counted.

    `address` is empty for agents: those behind one gateway must not stand in each other's way.
    """

    address: str
    party: str
    token: str

    @property
    def shown(self) -> str:
        """What the log calls it; nothing of a token."""
        return self.party or self.address


class Counter:
    """Counts calls as `limits` say. `clock_s` is monotonic."""

    def __init__(self, limits: Limits, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._tokens = _buckets(limits.per_token)
        self._addresses = _buckets(limits.per_address)
        self._connects = _buckets(limits.connects_per_party)
        self._wrong = _buckets(limits.wrong_enrolments_per_address)
        self._at_once = (
            None if limits.calls_per_address is None else Places(limits.calls_per_address)
        )
        self._of_parties = Places(_CALLS_PER_PARTY) if limits.connects_per_party else None
        self._opening = Places(_OPENING_PER_PARTY) if limits.connects_per_party else None
        self._logged = Buckets(_LOGGED)

    @contextmanager
    def call(self, method: str, visitor: Visitor) -> Iterator[None]:
        """Count one call, for as long as the block lasts.

        Raises:
            Exhausted: too often, or too many at once; says when to try again.
        """
        try:
            self._count(method, visitor)
            place = self._enter(method, visitor)
        except Exhausted as error:
            self._note(method, visitor, error)
            raise
        try:
            yield
        finally:
            if place is not None:
                place[0].leave(place[1])

    def ended_unproven(self, method: str, visitor: Visitor) -> None:
        """Remember that a call was refused for want of proof."""
        if method == _ENROL and self._wrong is not None and visitor.address:
            self._wrong.take(visitor.address, self._clock_s())

    def _count(self, method: str, visitor: Visitor) -> None:
        now_s = self._clock_s()
        if visitor.party:
            if method == _CONNECT:
                _take(self._connects, visitor.party, now_s, "connections of this party")
            return
        # First: a table by token can't be filled with tokens faster than this lets pass.
        _take(self._addresses, visitor.address, now_s, "calls from this address")
        if visitor.token:
            _take(self._tokens, visitor.token, now_s, "calls with this token")
        if method == _ENROL and self._wrong is not None:
            # Also for a right token, or the answer would tell it from a wrong one.
            _refuse(self._wrong.wait_s(visitor.address, now_s), "wrong tokens from this address")

    def _enter(self, method: str, visitor: Visitor) -> tuple[Places, str] | None:
        if not visitor.party:
            places, key = self._at_once, visitor.address
        elif method == _OPEN_TUNNEL:
            places, key = self._opening, visitor.party
        else:
            places, key = self._of_parties, visitor.party
        if places is None:
            return None
        if not places.enter(key):
            whose = "of this party" if visitor.party else "from this address"
            raise Exhausted(
                f"too many calls {whose} at once; end some, or try again in a few seconds",
                kind=Kind.REQUEST,
            )
        return places, key

    def _note(self, method: str, visitor: Visitor, error: FlowError) -> None:
        if self._logged.take("", self._clock_s()) == 0:
            log.warning("call_refused", rpc=method, caller=visitor.shown, message=error.message)


def visitor_of(context: Context) -> Visitor:
    """Return by what a call is counted."""
    shown = caller_from_certificate(context.auth_context() or {})
    if shown is not None:
        return Visitor(address="", party=shown[0], token="")
    return Visitor(address=address_of(context.peer()), party="", token=_token_of(context))


def _token_of(context: Context) -> str:
    for key, value in context.invocation_metadata() or ():
        if key == _HEADER:
            raw = value.encode("utf-8", "replace") if isinstance(value, str) else value
            # So that no table holds a token.
            return hashlib.sha256(raw).hexdigest()
    return ""


def _buckets(rate: Rate | None) -> Buckets | None:
    return None if rate is None else Buckets(rate)


def _take(buckets: Buckets | None, key: str, now_s: float, what: str) -> None:
    if buckets is not None:
        _refuse(buckets.take(key, now_s), what)


def _refuse(wait_s: float, what: str) -> None:
    if wait_s > 0:
        raise Exhausted(
            f"too many {what}; try again in {seconds_to_wait(wait_s)}", kind=Kind.REQUEST
        )
