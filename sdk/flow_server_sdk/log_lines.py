"""From chunks of records to lines of text, merged over parties in the order of time. Pure.

A line is what ended with a newline on one stream of one party; its time is when it ended. One
that is longer than MAX_LINE_BYTES is given in pieces. What a workload wrote is of no encoding:
what is not UTF-8 is replaced in `text` and kept in `raw`.
"""

import heapq
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import zstandard

from flow_contract.errors import Internal, Kind
from flow_contract.log_records import (
    MAX_CHUNK_BYTES,
    BadLog,
    LogRecord,
    LogStream,
    at_of,
    records,
    us_of,
)
from flow_contract.logs import LogChunk, LogHead, PartyLog

MAX_LINE_BYTES = 1024 * 1024

_NAMES = {LogStream.STDOUT: "stdout", LogStream.STDERR: "stderr", LogStream.MARK: "mark"}


class LogLine(NamedTuple):
    """One line without its newline. `stream` is "stdout", "stderr", or "mark" for the site's own.

    `at` is aware UTC by the site's clock. With `is_cut` the next line of the stream goes on with
    this one.
    """

    # A tuple, because a million of them are made while somebody follows.
    party: str
    stream: str
    at: datetime
    raw: bytes
    is_cut: bool = False

    @property
    def text(self) -> str:
        """The line as text; what is not UTF-8 is replaced."""
        return self.raw.decode("utf-8", errors="replace")


@dataclass(kw_only=True)
class _Party:
    log: PartyLog
    position: int
    # Until the end that it had at first: a line may have begun before what is read.
    is_fresh: bool
    parts: dict[LogStream, bytearray] = field(default_factory=dict)
    seen: set[LogStream] = field(default_factory=set)
    tail: deque[LogLine] | None = None
    last_us: int = 0


class LineReader:
    """Makes lines of one reading after another of the same logs.

    Invariant: of each party the lines come in the order in which they ended, none twice.
    """

    def __init__(self, *, since: datetime | None, tail: int | None) -> None:
        self._since = since
        self._tail = tail
        self._parties: dict[str, _Party] = {}
        # By time and arrival; those of one record wait together.
        self._waiting: list[tuple[int, int, list[LogLine]]] = []
        self._count = 0

    @property
    def positions(self) -> dict[str, int]:
        """Where the next reading has to begin, by party run."""
        return {key: party.position for key, party in self._parties.items()}

    def begin(self, head: LogHead) -> None:
        """Take over what a reading will be of."""
        for log in head.parties:
            if log.party_run_id not in self._parties:
                self._parties[log.party_run_id] = _Party(
                    log=log,
                    position=log.start,
                    is_fresh=log.start > 0,
                    tail=None if self._tail is None else deque(maxlen=self._tail),
                )

    def take(self, chunk: LogChunk) -> list[LogLine]:
        """Add a chunk; return the lines that no later chunk can come before."""
        party = self._parties.get(chunk.party_run_id)
        if party is None or chunk.start != party.position:
            raise _strange()
        for record in _records(chunk):
            self._offer(party, record.at_us, _lines(party, record))
        party.position = chunk.end
        return self._before(us_of(chunk.first_at))

    def rest(self) -> list[LogLine]:
        """Return the lines that are complete: all that there was has been taken."""
        for party in self._parties.values():
            # A tail is the end of what there was at first; what comes later is all wanted.
            lines, party.tail = party.tail or (), None
            for line in lines:
                self._push(us_of(line.at), [line])
        return self._before(None)

    def unfinished(self) -> list[LogLine]:
        """Return what has no newline at the end of all logs."""
        for party in self._parties.values():
            for stream, part in party.parts.items():
                if part and (stream in party.seen or not party.is_fresh):
                    line = LogLine(
                        party.log.federated_id, _NAMES[stream], at_of(party.last_us), bytes(part)
                    )
                    self._push(party.last_us, [line])
            party.parts.clear()
        return self._before(None)

    def _offer(self, party: _Party, at_us: int, lines: list[LogLine]) -> None:
        if not lines or (self._since is not None and lines[0].at < self._since):
            return
        if party.tail is not None:
            party.tail.extend(lines)
        else:
            self._push(at_us, lines)

    def _push(self, at_us: int, lines: list[LogLine]) -> None:
        """Let lines of one moment wait for those of others."""
        self._count += 1
        heapq.heappush(self._waiting, (at_us, self._count, lines))

    def _before(self, at_us: int | None) -> list[LogLine]:
        lines: list[LogLine] = []
        while self._waiting and (at_us is None or self._waiting[0][0] < at_us):
            lines += heapq.heappop(self._waiting)[2]
        return lines


def _lines(party: _Party, record: LogRecord) -> list[LogLine]:
    """Return the lines that end in a record: all at its time."""
    party.last_us = record.at_us
    name, stream, at = party.log.federated_id, _NAMES[record.stream], at_of(record.at_us)
    if record.stream is LogStream.MARK:
        return [LogLine(name, stream, at, record.data)]
    part = party.parts.setdefault(record.stream, bytearray())
    first, *others = record.data.split(b"\n")
    part += first
    lines = []
    if others:
        rest = others.pop()
        if record.stream in party.seen or not party.is_fresh:
            lines.append(LogLine(name, stream, at, bytes(part)))
        # Else it began before what is read, and half of it would be no line.
        party.seen.add(record.stream)
        lines += [LogLine(name, stream, at, raw) for raw in others]
        part[:] = rest
    while len(part) >= MAX_LINE_BYTES:
        cut = bytes(part[:MAX_LINE_BYTES])
        del part[:MAX_LINE_BYTES]
        if record.stream in party.seen or not party.is_fresh:
            lines.append(LogLine(name, stream, at, cut, is_cut=True))
    return lines


def _records(chunk: LogChunk) -> list[LogRecord]:
    # What an agent sent is nobody's word for how large it becomes.
    if not 0 < chunk.raw_bytes <= MAX_CHUNK_BYTES:
        raise _strange()
    try:
        # Not `decompress`: it makes room for whatever the frame itself says.
        raw = zstandard.ZstdDecompressor().stream_reader(chunk.data).read(chunk.raw_bytes + 1)
        if len(raw) != chunk.raw_bytes:
            raise _strange()
        return list(records(raw))
    except (zstandard.ZstdError, BadLog) as error:
        raise _strange() from error


def _strange() -> Internal:
    return Internal("a piece of this log can't be read; its site sent it so", kind=Kind.PARTY_RUN)
