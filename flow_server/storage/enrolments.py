"""Queries on one-time enrolment tokens: open, used once, or void."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, and_, func, insert, select, update

from flow_server.storage.database import Connection
from flow_server.storage.identity_tables import enrolments


@dataclass(frozen=True, kw_only=True)
class StoredEnrolment:
    """A token as it is stored. `used_for_key` is the hash of the key that used it, if one did.

    `is_void` covers its time too, and is the database's word.
    """

    token_id: str
    federated_id: str
    secret_hash: str = field(repr=False)
    used_for_key: str | None
    is_void: bool


async def insert_enrolment(
    connection: Connection,
    *,
    token_id: str,
    federated_id: str,
    secret_hash: str,
    created_by: str,
    valid_for: timedelta,
) -> datetime:
    """Keep a new token; return when it expires. The party's older open ones are to be void."""
    statement = (
        insert(enrolments)
        .values(
            token_id=token_id,
            federated_id=federated_id,
            secret_hash=secret_hash,
            created_by=created_by,
            expires_at=func.now() + valid_for,
        )
        .returning(enrolments.c.expires_at)
    )
    expires_at: datetime = (await connection.execute(statement)).scalar_one()
    return expires_at


async def void_open(connection: Connection, federated_id: str) -> int:
    """Make the party's unused tokens void; return how many there were."""
    statement = (
        update(enrolments)
        .where(
            enrolments.c.federated_id == federated_id,
            enrolments.c.used_at.is_(None),
            enrolments.c.voided_at.is_(None),
        )
        .values(voided_at=func.now())
    )
    return (await connection.execute(statement)).rowcount


async def get_enrolment(connection: Connection, token_id: str) -> StoredEnrolment | None:
    """Return a token, None if there is none of this id."""
    statement = select(
        enrolments,
        (enrolments.c.voided_at.is_not(None) | (enrolments.c.expires_at <= func.now())).label(
            "is_void"
        ),
    ).where(enrolments.c.token_id == token_id)
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _enrolment(row)


async def use_enrolment(connection: Connection, *, token_id: str, key_hash: str) -> bool:
    """Use an open token up for this key; False if it is not open (any more)."""
    statement = (
        update(enrolments)
        .where(
            and_(
                enrolments.c.token_id == token_id,
                enrolments.c.used_at.is_(None),
                enrolments.c.voided_at.is_(None),
                enrolments.c.expires_at > func.now(),
            )
        )
        .values(used_at=func.now(), used_for_key=key_hash)
    )
    return bool((await connection.execute(statement)).rowcount)


async def is_known(connection: Connection, federated_id: str) -> bool:
    """Say whether the party was ever given a token."""
    statement = select(enrolments.c.token_id).where(enrolments.c.federated_id == federated_id)
    return (await connection.execute(statement.limit(1))).one_or_none() is not None


def _enrolment(row: Row[Any]) -> StoredEnrolment:
    return StoredEnrolment(
        token_id=row.token_id,
        federated_id=row.federated_id,
        secret_hash=row.secret_hash,
        used_for_key=row.used_for_key,
        is_void=row.is_void,
    )
