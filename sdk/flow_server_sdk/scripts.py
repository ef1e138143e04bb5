"""How a call goes, written once for both clients.

A script is a generator: it yields the steps that touch the world (send, open, pause, …), is
given their outcome, or thrown the `grpc.RpcError` of a step, and returns the caller's dict. The
two drivers in `drivers` take the steps with blocking calls or with awaits and decide nothing.
"""

import random
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from flow_contract.errors import FlowError, InvalidArgument, TooLarge
from flow_server_sdk import failures, shapes
from flow_server_sdk.methods import Method
from flow_server_sdk.shapes import Answer

T = TypeVar("T")

# Servers take 4 MiB; what is larger must be told apart from a quota that is reached.
MAX_REQUEST_BYTES = 4 * 1024**2 - 4096

MAX_ATTEMPTS = 5
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Send:
    """One request, one reply; the outcome is the reply."""

    method: Method
    request: Message
    timeout_s: float


@dataclass(frozen=True, kw_only=True)
class Open:
    """One request, many replies; the outcome has `cancel()` and is what `Next` wants."""

    method: Method
    request: Message
    timeout_s: float | None


@dataclass(frozen=True, kw_only=True)
class Next:
    """The next reply of a stream; the outcome is None at its end."""

    stream: Any


@dataclass(frozen=True, kw_only=True)
class Pause:
    """Nothing, for a while."""

    seconds: float


@dataclass(frozen=True, kw_only=True)
class Tell:
    """Call the user's function; what it raises ends the script."""

    listener: Callable[[dict[str, Any]], object]
    data: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Probe:
    """Find out why the server can't be reached; the outcome is a sentence, "" if nobody knows."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """Call what blocks on this machine's disk; the outcome is what it returns.

    What it raises is thrown into the script.
    """

    call: Callable[[], Any]


@dataclass(frozen=True, kw_only=True)
class Give:
    """Items of what the caller iterates over, maybe none; only in what `iterate` carries out."""

    items: Sequence[Any]


Step = Send | Open | Next | Pause | Tell | Probe | Work
Script = Generator[Step, Any, Answer]
Items = Generator[Step | Give, Any, None]


def _jitter() -> float:
    return random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries, protects nothing


@dataclass(frozen=True, kw_only=True)
class Link:
    """What every script needs to know of its client. `clock` counts seconds, from anywhere."""

    address: str
    timeout_s: float
    clock: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = _jitter

    def pause_s(self, attempt: int) -> float:
        """Return how long to wait after the failed attempt of this number, counted from 0."""
        # The exponent is bounded because wait may try for days.
        return min(_FIRST_PAUSE_S * 2.0 ** min(attempt, 10), _LONGEST_PAUSE_S) * self.jitter()


@dataclass(frozen=True, kw_only=True)
class Call:
    """One unary call: how its request is made and what its reply means.

    `request` may raise InvalidArgument, which is then answered and nothing is sent. `data`
    turns the reply into the answer's `data`, None for an answer without. `note` is what people
    should know although the call worked, "" for nothing.
    """

    method: Method
    request: Callable[[], Message]
    data: Callable[[Any], dict[str, Any] | None] = lambda _: None
    note: Callable[[Any], str] = lambda _: ""


def perform(call: Call, link: Link) -> Script:
    """Make one unary call.

    Raises:
        FlowError: what the user can't cause; what he can is in the dict returned.
    """
    try:
        reply = yield from exchange(call.method, call.request(), link)
        return shapes.success(read(link, call.data, reply), note=call.note(reply))
    except FlowError as error:
        return failures.answer(error)


def exchange(method: Method, request: Message, link: Link) -> Generator[Step, Any, Any]:
    """Send a request until it is answered; again only if it may be and was lost.

    Raises:
        FlowError: the answer, or that there was none in `link.timeout_s`, all attempts together.
    """
    size_bytes = request.ByteSize()
    if size_bytes > MAX_REQUEST_BYTES:
        raise TooLarge(f"request: {size_bytes} bytes are more than {MAX_REQUEST_BYTES}; send less")
    give_up_at = link.clock() + link.timeout_s
    attempt = 0
    while True:
        try:
            return (
                yield Send(
                    method=method,
                    request=request,
                    timeout_s=max(give_up_at - link.clock(), 0.001),
                )
            )
        except grpc.RpcError as error:
            pause_s = link.pause_s(attempt)
            attempt += 1
            hopeless = attempt >= MAX_ATTEMPTS or link.clock() + pause_s >= give_up_at
            if hopeless or not (method.repeatable and failures.is_lost(error)):
                raise (yield from explained(error, link)) from error
        yield Pause(seconds=pause_s)


def explained(error: grpc.RpcError, link: Link) -> Generator[Step, Any, FlowError]:
    """Return the catalogue error, with the reason where no connection came about at all."""
    why = (yield Probe()) if failures.is_unreached(error) else ""
    return failures.from_rpc(error, link.address, why)


def read(link: Link, decode: Callable[[Any], T], reply: Message) -> T:
    """Return the decoded reply.

    Raises:
        Internal: the server is newer and sent a value that this version doesn't know.
    """
    try:
        return decode(reply)
    except InvalidArgument as problem:
        raise failures.strange_answer(link.address, problem) from problem
