"""The audit log's entries, and the chain that shows when one was changed.

Each entry's hash covers the entry and the hash before it, so an entry that was changed, left
out, put in or moved breaks the chain from there on. What a chain alone can't show is a cut at
its end: whoever wants to know that too keeps the newest hash somewhere else, and compares.
"""

import enum
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

# What stands before the first entry.
GENESIS = "0" * 64


class Outcome(enum.StrEnum):
    """How an audited act ended."""

    DONE = "done"
    # The caller may not do this, or did not prove who it is.
    DENIED = "denied"
    # Allowed, and did not succeed: bad input, a conflict, a defect.
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Act:
    """What somebody did or tried. `detail` holds short facts, never secrets or payloads."""

    at: datetime
    actor_kind: str
    actor: str
    address: str
    action: str
    subject_kind: str = ""
    subject_id: str = ""
    outcome: Outcome
    detail: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """An act in its place in the chain. `sequence` counts from 1 without gaps."""

    sequence: int
    act: Act
    previous_hash: str
    hash: str


@dataclass(frozen=True, kw_only=True)
class Break:
    """The first place where a chain doesn't hold, and what is wrong there."""

    sequence: int
    problem: str


def chain(act: Act, *, sequence: int, previous_hash: str) -> AuditEntry:
    """Return the act as the next entry after `previous_hash`."""
    return AuditEntry(
        sequence=sequence,
        act=act,
        previous_hash=previous_hash,
        hash=hash_of(act, sequence=sequence, previous_hash=previous_hash),
    )


def hash_of(act: Act, *, sequence: int, previous_hash: str) -> str:
    """Return 64 hex digits: SHA-256 over the canonical JSON of everything in the entry.

    Canonical: a list in the order below, no white space, non-ASCII escaped, `detail` sorted by
    key, the time in UTC with microseconds.
    """
    document = [
        previous_hash,
        sequence,
        act.at.astimezone(UTC).isoformat(timespec="microseconds"),
        act.actor_kind,
        act.actor,
        act.address,
        act.action,
        act.subject_kind,
        act.subject_id,
        act.outcome.value,
        dict(sorted(act.detail.items())),
    ]
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def verify(
    entries: Iterable[AuditEntry], *, after_sequence: int = 0, previous_hash: str = GENESIS
) -> Break | None:
    """Walk a chain in order from (after_sequence, previous_hash); None means that it holds."""
    expected = after_sequence + 1
    for entry in entries:
        if entry.sequence != expected:
            return Break(
                sequence=expected, problem=f"entry {expected} is missing; {entry.sequence} follows"
            )
        if entry.previous_hash != previous_hash:
            return Break(sequence=expected, problem="it does not follow the entry before it")
        if entry.hash != hash_of(entry.act, sequence=expected, previous_hash=previous_hash):
            return Break(sequence=expected, problem="it is not what was written")
        expected += 1
        previous_hash = entry.hash
    return None


def to_document(entry: AuditEntry) -> dict[str, Any]:
    """Return the entry as it is shown and kept outside a database: each value in plain JSON."""
    act = entry.act
    return {
        "sequence": entry.sequence,
        "at": act.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "actor_kind": act.actor_kind,
        "actor": act.actor,
        "address": act.address,
        "action": act.action,
        "subject_kind": act.subject_kind,
        "subject_id": act.subject_id,
        "outcome": act.outcome.value,
        "detail": dict(act.detail),
        "previous_hash": entry.previous_hash,
        "hash": entry.hash,
    }


def from_document(document: dict[str, Any]) -> AuditEntry:
    """Return the entry of which `to_document` made this.

    Raises:
        KeyError, ValueError, TypeError: it is not an entry.
    """
    return AuditEntry(
        sequence=int(document["sequence"]),
        act=Act(
            at=datetime.fromisoformat(document["at"]),
            actor_kind=document["actor_kind"],
            actor=document["actor"],
            address=document["address"],
            action=document["action"],
            subject_kind=document["subject_kind"],
            subject_id=document["subject_id"],
            outcome=Outcome(document["outcome"]),
            detail=dict(document["detail"]),
        ),
        previous_hash=document["previous_hash"],
        hash=document["hash"],
    )
