"""From chunks of records to lines of text, merged over parties in the order of time. Pure.

A line is what ended with a newline on one stream of one party; its time is when it ended. One
that is longer than MAX_LINE_BYTES is given in pieces. What a workload wrote is of no encoding:
what is not UTF-8 is replaced in `text` and kept in `raw`.
"""

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

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


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """One line without its newline. `stream` is "stdout", "stderr", or "mark" for the site's own.

    `at` is aware UTC by the site's clock. With `is_cut` the next line of the stream goes on with
    this one.
    """

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
        self._waiting: list[tuple[int, int, LogLine]] = []
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

    def take(self, chunk: LogChunk) -> Iterator[LogLine]:
        """Add a chunk; yield the lines that no later chunk can come before."""
        party = self._parties.get(chunk.party_run_id)
        if party is None or chunk.start != party.position:
            raise _strange()
        for record in _records(chunk):
            for line in _lines(party, record):
                self._offer(party, line)
        party.position = chunk.end
        yield from self._before(us_of(chunk.first_at))

    def rest(self) -> Iterator[LogLine]:
        """Yield the lines that are complete: all that there was has been taken."""
        for party in self._parties.values():
            # A tail is the end of what there was at first; what comes later is all wanted.
            lines, party.tail = party.tail or (), None
            for line in lines:
                self._push(line)
        yield from self._before(None)

    def unfinished(self) -> Iterator[LogLine]:
        """Yield what has no newline at the end of all logs."""
        for party in self._parties.values():
            for stream, part in party.parts.items():
                if part and (stream in party.seen or not party.is_fresh):
                    self._push(_line(party, stream, party.last_us, bytes(part)))
            party.parts.clear()
        yield from self._before(None)

    def _offer(self, party: _Party, line: LogLine) -> None:
        if self._since is not None and line.at < self._since:
            return
        if party.tail is not None:
            party.tail.append(line)
        else:
            self._push(line)

    def _push(self, line: LogLine) -> None:
        self._count += 1
        heapq.heappush(self._waiting, (us_of(line.at), self._count, line))

    def _before(self, at_us: int | None) -> Iterator[LogLine]:
        while self._waiting and (at_us is None or self._waiting[0][0] < at_us):
            yield heapq.heappop(self._waiting)[2]


def _lines(party: _Party, record: LogRecord) -> Iterator[LogLine]:
    party.last_us = record.at_us
    if record.stream is LogStream.MARK:
        yield _line(party, record.stream, record.at_us, record.data)
        return
    part = party.parts.setdefault(record.stream, bytearray())
    *whole, rest = record.data.split(b"\n")
    for piece in whole:
        part += piece
        if record.stream in party.seen or not party.is_fresh:
            yield _line(party, record.stream, record.at_us, bytes(part))
        # Else it began before what is read, and half of it would be no line.
        party.seen.add(record.stream)
        part.clear()
    part += rest
    while len(part) >= MAX_LINE_BYTES:
        cut = bytes(part[:MAX_LINE_BYTES])
        del part[:MAX_LINE_BYTES]
        if record.stream in party.seen or not party.is_fresh:
            yield _line(party, record.stream, record.at_us, cut, is_cut=True)


def _line(
    party: _Party, stream: LogStream, at_us: int, raw: bytes, *, is_cut: bool = False
) -> LogLine:
    return LogLine(
        party=party.log.federated_id,
        stream=_NAMES[stream],
        at=at_of(at_us),
        raw=raw,
        is_cut=is_cut,
    )


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
