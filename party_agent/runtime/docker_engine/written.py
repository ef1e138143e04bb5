"""What a log holds already, for whoever goes on writing it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flow_contract.log_records import LogRecord, LogStream, records, whole_bytes
from party_agent.runtime.log_capture import LIMIT_REACHED, NAMES, STDERR, STDOUT

_ANY_BYTES = 2**62
_STREAMS = {name.encode(): stream for stream, name in NAMES.items()}
_DROPPED = re.compile(rb"(\d+) bytes dropped from (\w+)")


@dataclass(frozen=True, kw_only=True)
class Before:
    """What is in a log: times of its first and last record, 0 for none.

    `sizes` is how many bytes of each stream were dealt with: stored, or dropped and said so.
    `is_cut`: it has reached its own limit.
    """

    sizes: Mapping[int, int]
    first_us: int = 0
    last_us: int = 0
    is_cut: bool = False


def read_before(path: Path) -> Before:
    """Return what a log holds; a record that a kill cut in half is removed.

    Raises:
        BadLog: the file is damaged.
        OSError: it can't be read.
    """
    sizes = {STDOUT: 0, STDERR: 0}
    first_us = last_us = 0
    is_cut = False
    try:
        framed = path.read_bytes()
    except FileNotFoundError:
        return Before(sizes=sizes)
    whole = whole_bytes(framed, most=_ANY_BYTES)
    if whole < len(framed):
        with path.open("r+b") as file:
            file.truncate(whole)
    for record in records(framed[:whole]):
        first_us = first_us or record.at_us
        last_us = max(last_us, record.at_us)
        if record.stream is LogStream.MARK:
            is_cut = is_cut or record.data.startswith(LIMIT_REACHED.encode())
            _count_dropped(record, sizes)
        else:
            sizes[int(record.stream)] += len(record.data)
    return Before(sizes=sizes, first_us=first_us, last_us=last_us, is_cut=is_cut)


def _count_dropped(mark: LogRecord, sizes: dict[int, int]) -> None:
    found = _DROPPED.fullmatch(mark.data)
    if found is not None and found[2] in _STREAMS:
        sizes[_STREAMS[found[2]]] += int(found[1])
