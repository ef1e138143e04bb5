"""Compares the outputs that a server shows with what a workload left, and was told is kept.

Pure, as `told`: what a workload noted is sure, and the one file after that in doubt.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice

from tests.chaos import teller
from tests.chaos.told import Told


@dataclass(frozen=True, kw_only=True)
class ShownFile:
    """A file as the server lists it, with the bytes that a reader gets."""

    name: str
    sha256: bytes
    data: bytes


@dataclass(frozen=True, kw_only=True)
class _Noted:
    """What surely was left and sent, newest by name, and the next file with its way."""

    left: Mapping[str, bytes]
    sent: Mapping[str, bytes]
    way: str
    name: str
    data: bytes


def output_findings(told: Told, lay: Mapping[str, bytes], found: Sequence[ShownFile]) -> list[str]:
    """Return what is wrong with a party run's outputs: missing, half, changed, invented.

    `lay` is what lies in its output directory since it ended.
    """
    noted = _noted(told)
    findings = _lost_at_site(noted, lay)
    # What lies there at the end counts as the newest.
    wanted = {**noted.sent, **lay}
    may_be = {noted.name: noted.data} if noted.way != teller.LEFT else {}
    may_be = {name: data for name, data in may_be.items() if name not in lay}
    for shown in found:
        may = [each[shown.name] for each in (wanted, may_be) if shown.name in each]
        if sha256(shown.data).digest() != shown.sha256:
            findings.append(f"{shown.name!r} has not the SHA-256 that is said of it")
        if not may:
            findings.append(f"{shown.name!r} was invented: {len(shown.data)} bytes")
        elif shown.data not in may:
            findings.append(f"{shown.name!r} {_difference(shown.data, may[0])}")
    names = Counter(shown.name for shown in found)
    findings += [f"{name!r} is there {count} times" for name, count in names.items() if count > 1]
    findings += [
        f"{name!r} is missing, {len(wanted[name])} bytes that were"
        f" {'left' if name in lay else 'acknowledged'}"
        for name in sorted(wanted.keys() - names.keys())
    ]
    return findings


def _noted(told: Told) -> _Noted:
    left: dict[str, bytes] = {}
    sent: dict[str, bytes] = {}
    *sure, (way, name, data) = islice(teller.outputs(told.key, told.large), told.outputs + 1)
    for sure_way, sure_name, sure_data in sure:
        if sure_way != teller.SENT:
            left[sure_name] = sure_data
        if sure_way != teller.LEFT:
            sent[sure_name] = sure_data
    return _Noted(left=left, sent=sent, way=way, name=name, data=data)


def _lost_at_site(noted: _Noted, lay: Mapping[str, bytes]) -> list[str]:
    """Return what was left whole and does not lie there so; a kill may halve the one in doubt."""
    findings = []
    for name, data in noted.left.items():
        there = lay.get(name)
        in_doubt = name == noted.name and noted.way != teller.SENT
        if there == data or (in_doubt and there is not None and noted.data.startswith(there)):
            continue
        what = "is gone from" if there is None else "is changed in"
        findings.append(f"{name!r} {what} the output directory")
    return findings


def _difference(data: bytes, wanted: bytes) -> str:
    if len(data) < len(wanted) and wanted.startswith(data):
        return f"is there by halves: {len(data)} of {len(wanted)} bytes"
    pairs = enumerate(zip(data, wanted, strict=False))
    at = next((n for n, (got, due) in pairs if got != due), min(len(data), len(wanted)))
    return f"has {len(data)} bytes that differ from byte {at} on, due are {len(wanted)}"
