"""Who makes the call that is being answered; set by the interceptor, read by the servicers."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass

from flow_contract.access import Caller


@dataclass(frozen=True, kw_only=True)
class Calling:
    """A caller, and a way to ask again who it is while the call lasts.

    `again` raises Unauthenticated once the proof is no longer good; the rights that it returns
    may be others than at first.
    """

    caller: Caller
    again: Callable[[], Awaitable[Caller]]


_calling: ContextVar[Calling] = ContextVar("calling")


def enter(calling: Calling) -> None:
    """Say who makes the call that this task answers."""
    _calling.set(calling)


def calling() -> Calling:
    """Return what `enter` was told. Raises LookupError outside of a call."""
    return _calling.get()


def current() -> Caller:
    """Return who makes this call. Raises LookupError outside of a call."""
    return _calling.get().caller
