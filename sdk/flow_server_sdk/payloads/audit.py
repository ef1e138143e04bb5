"""Audit entries as dictionaries, and back: who has them can verify the chain without a server."""

from datetime import UTC, datetime
from typing import Any

from flow_contract.audit import Act, AuditEntry, Outcome


def shown(entry: AuditEntry) -> dict[str, Any]:
    """Return the entry as `sdk.audit.list` and the JSON lines of the command line show it."""
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


def entry_of(document: dict[str, Any]) -> AuditEntry:
    """Return what `shown` showed.

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
