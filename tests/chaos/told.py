"""Compares what a server has of a workload byte by byte with what it is known to have told.

Pure: what was told comes from `teller`, how much of it from the workload's own notes. One piece
beyond that is in doubt, since a kill may come between the telling and the note.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from flow_contract.log_records import LogRecord, LogStream
from tests.chaos import teller

Point = tuple[str, int, float]

_DROPPED = re.compile(rb"(\d+) bytes (?:of std(?:out|err) )?dropped")
_SHOWN_BYTES = 40


@dataclass(frozen=True, kw_only=True)
class Told:
    """How many pieces, batches and outputs a workload noted as told. `key` says which they were.

    `large`: how its output of several parts leaves, if at all.
    `ends_early`: its runtime was hurt, and with it what it had last said; holes are none.
    """

    key: str
    pieces: int
    batches: int
    outputs: int = 0
    large: str = ""
    ends_early: bool = False


def log_findings(told: Told, found: Iterable[LogRecord]) -> list[str]:
    """Return what is wrong with a log: missing, repeated, changed, invented."""
    said = list(islice(teller.pieces(told.key), told.pieces + 1))
    sure = {stream: _of(said[: told.pieces], stream) for stream in (1, 2)}
    whole = {stream: _of(said, stream) for stream in (1, 2)}
    position = {1: 0, 2: 0}
    may_miss_bytes = 0
    last_us = 0
    for record in found:
        if record.at_us < last_us:
            return [f"the time goes back from {last_us} to {record.at_us}"]
        last_us = record.at_us
        if record.stream is LogStream.MARK:
            dropped = _DROPPED.fullmatch(record.data)
            may_miss_bytes += int(dropped[1]) if dropped else 0
            continue
        stream, begin, data = int(record.stream), position[record.stream], record.data
        at = whole[stream].find(data, begin, begin + may_miss_bytes + len(data))
        if at < 0:
            return [_difference(record.stream, whole[stream], begin, data)]
        may_miss_bytes -= at - begin
        position[stream] = at + len(data)
    missing = {stream: len(sure[stream]) - position[stream] for stream in (1, 2)}
    short = sum(max(0, missing_bytes) for missing_bytes in missing.values())
    if told.ends_early or short <= may_miss_bytes:
        return []
    return [
        f"{LogStream(stream).name}: the last {missing_bytes} of {len(sure[stream])} bytes"
        " are missing"
        for stream, missing_bytes in missing.items()
        if missing_bytes > 0
    ]


def metric_findings(told: Told, found: Sequence[Point], *, dropped: int) -> list[str]:
    """Return what is wrong with a party run's points, in the order in which they are shown."""
    sent = list(islice(teller.batches(told.key), told.batches + 1))
    sure = [point for batch in sent[: told.batches] for point in batch]
    with_last = sure + sent[-1]
    findings = [f"{dropped} points were dropped"] if dropped else []
    if list(found) in (sure, with_last):
        return findings
    for number, (got, wanted) in enumerate(zip(found, with_last, strict=False), 1):
        if got != wanted:
            return [*findings, f"point {number} of {len(sure)} is {got}, it was told as {wanted}"]
    return [*findings, f"there are {len(found)} points, told were {len(sure)} or {len(with_last)}"]


def _of(said: list[tuple[int, bytes]], stream: int) -> bytes:
    return b"".join(data for of, data in said if of == stream)


def _difference(stream: LogStream, whole: bytes, begin: int, data: bytes) -> str:
    same = next(
        (n for n, pair in enumerate(zip(data, whole[begin:], strict=False)) if pair[0] != pair[1]),
        min(len(data), len(whole) - begin),
    )
    at = begin + same
    rest, first = data[same : same + _SHOWN_BYTES], data[:_SHOWN_BYTES]
    where = f"{stream.name}, byte {at}"
    if at >= len(whole):
        return f"{where}: {rest!r} was never said, nor anything there"
    if (later := whole.find(first, begin + 1)) >= 0:
        return f"{where}: {later - begin} bytes are missing"
    if (before := whole.rfind(first, 0, begin)) >= 0:
        return f"{where}: repeats what was at {before}: {first!r}"
    return f"{where}: {rest!r} was said as {whole[at : at + _SHOWN_BYTES]!r}"
