"""What went wrong: a gRPC error as its catalogue class, and that as a dict or an exception."""

from collections.abc import Iterable
from typing import Protocol, cast

import grpc

from flow_contract.errors import (
    Exhausted,
    FlowError,
    Forbidden,
    Internal,
    InvalidArgument,
    Unauthenticated,
    Unavailable,
    ret_code,
)
from flow_server_sdk.shapes import Answer
from flow_wire.codec.errors import error_in

# After these nobody knows whether the call had an effect: a server that is ended cancels what
# it was doing, one that is gone was not reached.
_LOST = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}

# For an error that is not of our catalogue: a proxy's, gRPC's own, or another server's.
_BY_STATUS: dict[grpc.StatusCode, tuple[type[FlowError], str]] = {
    grpc.StatusCode.UNAVAILABLE: (Unavailable, "can't be reached"),
    grpc.StatusCode.CANCELLED: (Unavailable, "ended the call"),
    grpc.StatusCode.DEADLINE_EXCEEDED: (Unavailable, "did not answer in time"),
    grpc.StatusCode.UNIMPLEMENTED: (Internal, "doesn't know this call; is it a flow server?"),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (Exhausted, "can't take this now"),
    grpc.StatusCode.UNAUTHENTICATED: (Unauthenticated, "doesn't know who calls"),
    grpc.StatusCode.PERMISSION_DENIED: (Forbidden, "doesn't allow this"),
}


class _Ended(Protocol):
    """What both gRPC libraries' errors offer."""

    def code(self) -> grpc.StatusCode: ...
    def details(self) -> str | None: ...
    def trailing_metadata(self) -> Iterable[tuple[str, str | bytes]] | None: ...


def is_lost(error: grpc.RpcError) -> bool:
    """Say whether the call may have been lost on the way, so that asking again can help."""
    return cast(_Ended, error).code() in _LOST


def is_unread(error: grpc.RpcError) -> bool:
    """Say whether a watch was ended because it was not read: it can go on with its token."""
    known = _from_details(cast(_Ended, error))
    return isinstance(known, Exhausted) and known.field == "token"


def is_unreached(error: grpc.RpcError) -> bool:
    """Say whether gRPC itself found no server to ask; what a server says has details."""
    ended = cast(_Ended, error)
    return ended.code() is grpc.StatusCode.UNAVAILABLE and _from_details(ended) is None


def is_late(error: grpc.RpcError) -> bool:
    """Say whether the call's deadline passed."""
    return cast(_Ended, error).code() is grpc.StatusCode.DEADLINE_EXCEEDED


def from_rpc(error: grpc.RpcError, address: str, why: str = "") -> FlowError:
    """Return the catalogue error; what the user can't cause has the address in its message.

    `why` says more of a server that could not be reached.
    """
    ended = cast(_Ended, error)
    known = _from_details(ended)
    if known is None:
        kind, what = _BY_STATUS.get(ended.code(), (Internal, "failed"))
        if why:
            return kind(f"{address} {what}: {why}")
        return kind(f"{address} {what}: {ended.code().name} {ended.details() or ''}".rstrip())
    if ret_code(known) is not None:
        return known
    return type(known)(
        f"{address}: {known.message}",
        kind=known.kind,
        subject_id=known.subject_id,
        field=known.field,
    )


def strange_answer(address: str, problem: InvalidArgument) -> Internal:
    """Return the error for an answer that this version can't read."""
    return Internal(
        f"{address} sent what this version of fedflow doesn't know ({problem.message}); upgrade it"
    )


def answer(error: FlowError) -> Answer:
    """Return `ret_code` and `ret_msg` for what the user can cause.

    Raises:
        FlowError: `error` itself, where it is anything else.
    """
    number = ret_code(error)
    if number is None:
        raise error
    return {"ret_code": number, "ret_msg": error.message}


def _from_details(ended: _Ended) -> FlowError | None:
    return error_in(ended.trailing_metadata() or ())
