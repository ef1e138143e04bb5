"""The error catalogue: every error that crosses a process boundary, one class per code.

    FlowError
    ├── InvalidArgument ── EmptyName
    ├── NotFound · AlreadyExists · Conflict · StaleLease
    ├── Unauthenticated · Forbidden
    ├── TooLarge · Exhausted
    ├── PartyUnavailable · RuntimeFailed · Unavailable
    └── Internal

`CATALOGUE` gives each class its gRPC and HTTP status; `ret_code` the number that
FlowServerSdk users know. Nobody but the edges (interceptor, gateway, SDK) maps errors.
"""

import enum
from dataclasses import dataclass
from typing import ClassVar


class Kind(enum.StrEnum):
    """What an error is about."""

    TEMPLATE = "template"
    TASK = "task"
    RUN = "run"
    PARTY_RUN = "party_run"
    PARTY = "party"
    WEBHOOK = "webhook"
    USER = "user"
    TOKEN = "token"  # noqa: S105 - the kind of thing, not one of them
    REQUEST = "request"
    SERVER = "server"


class FlowError(Exception):
    """Base of the catalogue; never raised itself.

    `message` is one sentence for the caller. `kind` and `subject_id` say what it is about,
    `field` names the offending input, where there is one.
    """

    code: ClassVar[str] = ""
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        kind: Kind = Kind.REQUEST,
        subject_id: str = "",
        field: str = "",
    ) -> None:
        if not self.code:
            raise TypeError("raise a class of the catalogue, not FlowError itself")
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.subject_id = subject_id
        self.field = field


class InvalidArgument(FlowError):
    """The input can't be accepted as it is; `field` names what to change."""

    code = "INVALID_ARGUMENT"


class EmptyName(InvalidArgument):
    """A name is empty; apart because FlowServerSdk users know it by its own number."""

    code = "EMPTY_NAME"


class NotFound(FlowError):
    """The thing named does not exist."""

    code = "NOT_FOUND"


class AlreadyExists(FlowError):
    """The name or id is taken."""

    code = "ALREADY_EXISTS"


class Conflict(FlowError):
    """The command does not fit the present state."""

    code = "CONFLICT"


class StaleLease(FlowError):
    """The caller no longer owns what it speaks for."""

    code = "STALE_LEASE"


class Unauthenticated(FlowError):
    """The caller did not prove who it is."""

    code = "UNAUTHENTICATED"


class Forbidden(FlowError):
    """The caller is known and may not do this."""

    code = "FORBIDDEN"


class TooLarge(FlowError):
    """The message is larger than the server accepts."""

    code = "TOO_LARGE"


class Exhausted(FlowError):
    """A quota or limit is reached; later may work."""

    code = "EXHAUSTED"
    retryable = True


class PartyUnavailable(FlowError):
    """A party that the command needs is unknown or can't take part."""

    code = "PARTY_UNAVAILABLE"


class RuntimeFailed(FlowError):
    """A container runtime refused or failed an operation."""

    code = "RUNTIME_FAILED"


class Unavailable(FlowError):
    """The server or its database can't answer now."""

    code = "UNAVAILABLE"
    retryable = True


class Internal(FlowError):
    """A defect; the message holds an incident id and nothing else."""

    code = "INTERNAL"


@dataclass(frozen=True)
class Statuses:
    """How one catalogue class looks on each wire. `grpc` is the status code's name."""

    grpc: str
    http: int


CATALOGUE: dict[type[FlowError], Statuses] = {
    InvalidArgument: Statuses("INVALID_ARGUMENT", 400),
    EmptyName: Statuses("INVALID_ARGUMENT", 400),
    NotFound: Statuses("NOT_FOUND", 404),
    AlreadyExists: Statuses("ALREADY_EXISTS", 409),
    Conflict: Statuses("FAILED_PRECONDITION", 409),
    StaleLease: Statuses("ABORTED", 409),
    Unauthenticated: Statuses("UNAUTHENTICATED", 401),
    Forbidden: Statuses("PERMISSION_DENIED", 403),
    TooLarge: Statuses("INVALID_ARGUMENT", 413),
    Exhausted: Statuses("RESOURCE_EXHAUSTED", 429),
    PartyUnavailable: Statuses("FAILED_PRECONDITION", 409),
    RuntimeFailed: Statuses("INTERNAL", 502),
    Unavailable: Statuses("UNAVAILABLE", 503),
    Internal: Statuses("INTERNAL", 500),
}

BY_CODE: dict[str, type[FlowError]] = {error.code: error for error in CATALOGUE}

RET_SUCCESS = 0
RET_INVALID_PARAM = 10000

# What a user of FlowServerSdk can cause, as the number that the original gave it. Numbers
# from 10400 are ours: the original had neither runs nor users.
_RET_CODES: dict[tuple[type[FlowError], Kind], int] = {
    (NotFound, Kind.TEMPLATE): 10200,
    (AlreadyExists, Kind.TEMPLATE): 10201,
    (NotFound, Kind.TASK): 10300,
    (AlreadyExists, Kind.TASK): 10301,
    (EmptyName, Kind.TASK): 10302,
    (Conflict, Kind.TASK): 10303,
    (NotFound, Kind.PARTY): 10304,
    (PartyUnavailable, Kind.PARTY): 10304,
    (NotFound, Kind.RUN): 10400,
    (NotFound, Kind.WEBHOOK): 10410,
    (NotFound, Kind.USER): 10500,
    (AlreadyExists, Kind.USER): 10501,
    (Conflict, Kind.USER): 10502,
    (NotFound, Kind.TOKEN): 10510,
    (Conflict, Kind.TOKEN): 10511,
}


def ret_code(error: FlowError) -> int | None:
    """Return FlowServerSdk's number for what a user can cause, None for what must be raised."""
    number = _RET_CODES.get((type(error), error.kind))
    if number is not None:
        return number
    return RET_INVALID_PARAM if isinstance(error, InvalidArgument | TooLarge) else None


def by_ret_code(number: int) -> type[FlowError] | None:
    """Return the class that FlowServerSdk's number stands for, None for an unknown one."""
    if number == RET_INVALID_PARAM:
        return InvalidArgument
    return next((kind for (kind, _), known in _RET_CODES.items() if known == number), None)
