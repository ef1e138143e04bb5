"""What is pushed and read of logs: chunks, how far they go, and what a reader asks for."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from flow_contract import checks
from flow_contract.errors import InvalidArgument, Kind
from flow_contract.log_records import MAX_CHUNK_BYTES, MAX_STORED_BYTES

MAX_TAIL_LINES = 100_000
MAX_PARTIES = 1000


class LogState(enum.StrEnum):
    """What a server says of a party run's log to the agent that has it."""

    OPEN = "open"
    # It takes no more of this one: there is too much of it.
    FULL = "full"
    # The run was deleted; nobody will read it.
    GONE = "gone"
    # Complete: the server knows that nothing follows.
    CLOSED = "closed"


@dataclass(frozen=True, kw_only=True)
class LogChunk:
    """A piece of a party run's log, in place: whole records, zstd-compressed in `data`.

    `start` is its first byte's offset in the log, `raw_bytes` its size before compression.
    """

    party_run_id: str
    start: int
    raw_bytes: int
    first_at: datetime
    last_at: datetime
    lines: int
    data: bytes

    @property
    def end(self) -> int:
        """The offset after its last byte."""
        return self.start + self.raw_bytes


@dataclass(frozen=True, kw_only=True)
class LogClosed:
    """Nothing follows in this log after `end`. `withheld`: the site's policy keeps it there."""

    party_run_id: str
    end: int
    withheld: bool = False


@dataclass(frozen=True, kw_only=True)
class LogEnd:
    """How far the server has a log, committed."""

    party_run_id: str
    end: int
    state: LogState = LogState.OPEN


@dataclass(frozen=True, kw_only=True)
class LogRequest:
    """Which logs to read. `run_id` "" means the task's newest; `parties` () all of them.

    `since` leaves out what came before, `tail` all but the last lines of each party. `positions`
    says, by party run, where an earlier reading got to; then the two count for the others only.
    """

    task_id: str
    run_id: str = ""
    parties: tuple[str, ...] = ()
    follow: bool = False
    since: datetime | None = None
    tail: int | None = None
    positions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PartyLog:
    """One party's log as a reading begins: it is read from `start`, and reached `end` by then.

    `complete`: nothing will follow. `withheld`: the site keeps it to itself.
    """

    party_run_id: str
    federated_id: str
    rank: int
    start: int
    end: int
    complete: bool
    withheld: bool


@dataclass(frozen=True, kw_only=True)
class LogHead:
    """What a reading will be of; it comes first."""

    run_id: str
    parties: tuple[PartyLog, ...]


@dataclass(frozen=True, kw_only=True)
class CaughtUp:
    """All that there was has been sent, in the order of time over all parties."""


def check_chunk(chunk: LogChunk) -> None:
    """Accept a chunk that can be stored.

    Raises:
        InvalidArgument: it can't; `subject_id` is its party run, so that others can go on.
    """
    try:
        _check_chunk(chunk)
    except InvalidArgument as error:
        raise InvalidArgument(
            error.message,
            kind=Kind.PARTY_RUN,
            subject_id=chunk.party_run_id,
            field=error.field,
        ) from None


def _check_chunk(chunk: LogChunk) -> None:
    checks.number("start", chunk.start, least=0, most=2**62)
    checks.number("raw_bytes", chunk.raw_bytes, least=1, most=MAX_CHUNK_BYTES)
    checks.number("lines", chunk.lines, least=0, most=MAX_CHUNK_BYTES)
    checks.number("data", len(chunk.data), least=1, most=MAX_STORED_BYTES)
    if chunk.last_at < chunk.first_at:
        raise InvalidArgument("last_at: lies before first_at", field="last_at")


def check_request(request: LogRequest) -> None:
    """Accept what can be read.

    Raises:
        InvalidArgument: a field lies outside its range.
    """
    checks.text("task_id", request.task_id)
    checks.text("run_id", request.run_id)
    checks.number("parties", len(request.parties), least=0, most=MAX_PARTIES)
    checks.texts("parties", request.parties, max_bytes=65_536)
    checks.number("tail", request.tail, least=0, most=MAX_TAIL_LINES)
    checks.number("positions", len(request.positions), least=0, most=10_000)
    for position in request.positions.values():
        checks.number("positions", position, least=0, most=2**62)
