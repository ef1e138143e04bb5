"""The form of a party run's log: one byte string of framed records, addressed by byte offset.

A record is what one read of a stream gave: 1 byte stream, 8 bytes big-endian microseconds since
1970 by the site's clock, 4 bytes big-endian length, then the bytes as they came, in any encoding.
A long line is many records, and one record may hold many lines.

Invariant: within one log the times never decrease, and a chunk holds whole records.
"""

import enum
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_HEADER = struct.Struct(">BQI")
HEADER_BYTES = _HEADER.size

# Two records of this size fit in a chunk.
MAX_DATA_BYTES = 32_000
# Framed, before compression.
MAX_CHUNK_BYTES = 65_536
# After compression: what can't be compressed grows a little.
MAX_STORED_BYTES = MAX_CHUNK_BYTES + 1024

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class LogStream(enum.IntEnum):
    """Where a record's bytes come from."""

    STDOUT = 1
    STDERR = 2
    # A sentence of the agent itself, such as how much was dropped.
    MARK = 3


class BadLog(ValueError):
    """These bytes are not records."""


@dataclass(frozen=True, kw_only=True)
class LogRecord:
    """What came over one stream at one moment. `at_us` counts from 1970, by the site's clock."""

    stream: LogStream
    at_us: int
    data: bytes


@dataclass(frozen=True, kw_only=True)
class Extent:
    """What a piece of a log holds: its times, and how many lines end in it; a mark is one."""

    first_at_us: int
    last_at_us: int
    lines: int


def at_of(at_us: int) -> datetime:
    """Return the time as aware UTC, the last there is for what lies beyond."""
    try:
        return _EPOCH + timedelta(microseconds=at_us)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def us_of(at: datetime) -> int:
    """Return the microseconds from 1970 to an aware time, 0 for what lies before."""
    return max(0, (at - _EPOCH) // timedelta(microseconds=1))


def frame(record: LogRecord) -> bytes:
    """Return the record as it stands in a log; more data than fits becomes several records."""
    data = record.data
    return b"".join(
        _HEADER.pack(record.stream, record.at_us, len(piece)) + piece
        for piece in (
            data[start : start + MAX_DATA_BYTES]
            for start in range(0, max(len(data), 1), MAX_DATA_BYTES)
        )
    )


def records(framed: bytes) -> Iterator[LogRecord]:
    """Yield the records of whole frames.

    Raises:
        BadLog: they are none.
    """
    position = 0
    while position < len(framed):
        stream, at_us, end = _header(framed, position)
        if end > len(framed):
            raise BadLog("the last record is cut short")
        yield LogRecord(
            stream=stream, at_us=at_us, data=bytes(framed[position + HEADER_BYTES : end])
        )
        position = end


def whole_bytes(framed: bytes, *, most: int = MAX_CHUNK_BYTES, up_to_damage: bool = False) -> int:
    """Return how many bytes at the beginning are whole records, `most` at most.

    Raises:
        BadLog: what stands there is no record; with `up_to_damage` only at the very beginning.
    """
    position = 0
    while position + HEADER_BYTES <= len(framed):
        try:
            _, _, end = _header(framed, position)
        except BadLog:
            if up_to_damage and position:
                break
            raise
        if end > min(len(framed), most):
            break
        position = end
    return position


def extent(framed: bytes) -> Extent:
    """Return what whole frames hold; there is at least one.

    Raises:
        BadLog: they are none.
    """
    first = last = None
    lines = 0
    for record in records(framed):
        # Not the first and the last: one log whose clock went back must not hold up the others.
        first = record.at_us if first is None else min(first, record.at_us)
        last = record.at_us if last is None else max(last, record.at_us)
        lines += 1 if record.stream is LogStream.MARK else record.data.count(b"\n")
    if first is None or last is None:
        raise BadLog("there is no record")
    return Extent(first_at_us=first, last_at_us=last, lines=lines)


def _header(framed: bytes, position: int) -> tuple[LogStream, int, int]:
    if position + HEADER_BYTES > len(framed):
        raise BadLog("the last record's head is cut short")
    stream, at_us, length = _HEADER.unpack_from(framed, position)
    if length > MAX_DATA_BYTES:
        raise BadLog(f"a record of {length} bytes is longer than {MAX_DATA_BYTES}")
    try:
        return LogStream(stream), at_us, position + HEADER_BYTES + length
    except ValueError:
        raise BadLog(f"there is no stream {stream}") from None
