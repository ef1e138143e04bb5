"""Queries on the audit log: append to the chain, read it in order."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, insert, select, text

from flow_contract.audit import GENESIS, Act, AuditEntry, Outcome, chain
from flow_server.storage.database import Connection
from flow_server.storage.identity_tables import audit

# Held while appending: whoever comes second builds on what the first one wrote. Any number.
_LOCK_KEY = 0x6665646175646974


async def append(connection: Connection, acts: Sequence[Act]) -> list[AuditEntry]:
    """Put the acts at the end of the chain, in order, and return them as they stand there."""
    await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
    newest = (
        await connection.execute(
            select(audit.c.sequence, audit.c.hash).order_by(audit.c.sequence.desc()).limit(1)
        )
    ).one_or_none()
    sequence, previous_hash = (0, GENESIS) if newest is None else (newest.sequence, newest.hash)
    entries: list[AuditEntry] = []
    for act in acts:
        sequence += 1
        entry = chain(act, sequence=sequence, previous_hash=previous_hash)
        previous_hash = entry.hash
        entries.append(entry)
    if entries:
        await connection.execute(insert(audit), [_row(entry) for entry in entries])
    return entries


async def read(connection: Connection, *, after_sequence: int, limit: int) -> list[AuditEntry]:
    """Return at most `limit` entries after `after_sequence`, in order."""
    statement = (
        select(audit)
        .where(audit.c.sequence > after_sequence)
        .order_by(audit.c.sequence)
        .limit(limit)
    )
    return [_entry(row) for row in (await connection.execute(statement)).all()]


def _row(entry: AuditEntry) -> dict[str, Any]:
    act = entry.act
    return {
        "sequence": entry.sequence,
        "at": act.at,
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


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        sequence=row.sequence,
        act=Act(
            at=row.at,
            actor_kind=row.actor_kind,
            actor=row.actor,
            address=row.address,
            action=row.action,
            subject_kind=row.subject_kind,
            subject_id=row.subject_id,
            outcome=Outcome(row.outcome),
            detail=row.detail,
        ),
        previous_hash=row.previous_hash,
        hash=row.hash,
    )
