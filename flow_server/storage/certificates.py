"""Queries on parties' certificates: issued, still good, refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, func, insert, select, text, update

from flow_server.storage.changes import notify_identity
from flow_server.storage.database import Connection
from flow_server.storage.identity_tables import certificates


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """A certificate that we signed. `serial` and `key_hash` are lower-case hex."""

    serial: str
    federated_id: str
    key_hash: str
    certificate_pem: str
    not_before: datetime
    not_after: datetime


# Also against itself: who enrols, renews and revokes one party does so one after the other.
_LOCK_PARTY = text("SELECT pg_advisory_xact_lock(hashtextextended('party:' || :federated_id, 0))")

# A newer connection, as it were: what the present one still sends counts no more.
_CUT_OFF = text(
    """
    UPDATE parties SET epoch = epoch + 1, owner_id = NULL, last_seen_at = now()
    WHERE federated_id = :federated_id AND owner_id IS NOT NULL
    """
)

_GOOD = text(
    """
    SELECT serial FROM certificates
    WHERE serial = ANY(CAST(:serials AS text[])) AND revoked_at IS NULL AND not_after > now()
    """
)


async def lock_identity(connection: Connection, federated_id: str) -> None:
    """Let nobody else change this party's identity until the transaction ends."""
    await connection.execute(_LOCK_PARTY, {"federated_id": federated_id})


async def insert_certificate(connection: Connection, issued: Certificate) -> None:
    """Keep a certificate that was just signed."""
    await connection.execute(insert(certificates).values(**vars(issued)))


async def good_one(
    connection: Connection, *, federated_id: str, serial: str, hold: bool = False
) -> Certificate | None:
    """Return the party's certificate with this serial number if it is good now, else None.

    With `hold` it can't be refused before the transaction has ended.
    """
    statement = select(certificates).where(
        certificates.c.serial == serial, certificates.c.federated_id == federated_id, _is_good()
    )
    if hold:
        statement = statement.with_for_update(read=True)
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _certificate(row)


async def good_one_for_key(
    connection: Connection, *, federated_id: str, key_hash: str
) -> Certificate | None:
    """Return the newest good certificate of this key, None if there is none."""
    statement = (
        select(certificates)
        .where(
            certificates.c.federated_id == federated_id,
            certificates.c.key_hash == key_hash,
            _is_good(),
        )
        .order_by(certificates.c.issued_at.desc(), certificates.c.serial)
        .limit(1)
    )
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _certificate(row)


async def count_good(connection: Connection, federated_id: str) -> int:
    """Return how many certificates the party could connect with now."""
    statement = (
        select(func.count())
        .select_from(certificates)
        .where(certificates.c.federated_id == federated_id, _is_good())
    )
    count: int = (await connection.execute(statement)).scalar_one()
    return count


async def good_serials(connection: Connection, serials: Sequence[str]) -> frozenset[str]:
    """Return those of the serial numbers whose certificates are good now."""
    return frozenset((await connection.execute(_GOOD, {"serials": list(serials)})).scalars())


async def is_known(connection: Connection, federated_id: str) -> bool:
    """Say whether the party was ever given a certificate."""
    statement = select(certificates.c.serial).where(certificates.c.federated_id == federated_id)
    return (await connection.execute(statement.limit(1))).one_or_none() is not None


async def revoke_all(connection: Connection, federated_id: str) -> int:
    """Refuse the party's certificates for good; return how many were left."""
    statement = (
        update(certificates)
        .where(certificates.c.federated_id == federated_id, certificates.c.revoked_at.is_(None))
        .values(revoked_at=func.now())
    )
    return (await connection.execute(statement)).rowcount


async def cut_off(connection: Connection, federated_id: str) -> None:
    """Let the party's present connection count no more; every replica is told at the commit.

    After the locks of its runs: whoever holds both took the run first.
    """
    await connection.execute(_CUT_OFF, {"federated_id": federated_id})
    await notify_identity(connection, [f"party:{federated_id}"])


def _is_good() -> ColumnElement[bool]:
    return certificates.c.revoked_at.is_(None) & (certificates.c.not_after > func.now())


def _certificate(row: Row[Any]) -> Certificate:
    return Certificate(
        serial=row.serial,
        federated_id=row.federated_id,
        key_hash=row.key_hash,
        certificate_pem=row.certificate_pem,
        not_before=row.not_before,
        not_after=row.not_after,
    )
