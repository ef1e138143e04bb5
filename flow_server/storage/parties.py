"""Queries on parties and on the leases of their connections."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, Select, bindparam, func, select, text, update
from sqlalchemy.types import Interval

from flow_contract.errors import AlreadyExists, Kind, NotFound
from flow_contract.parties import Inventory, Party
from flow_server.domain.placement import Presence
from flow_server.storage.database import Connection
from flow_server.storage.documents import from_inventory, to_inventory
from flow_server.storage.statements import Statement
from flow_server.storage.tables import parties

_CLAIM = text(
    """
    INSERT INTO parties (federated_id, name, instance_id, epoch, owner_id, lease_expires_at,
                         inventory, agent_draining)
    VALUES (:federated_id, :name, :instance_id, 1, :owner_id, now() + :lease, :inventory,
            :draining)
    ON CONFLICT (federated_id) DO UPDATE
    SET name = excluded.name, instance_id = excluded.instance_id, epoch = parties.epoch + 1,
        owner_id = excluded.owner_id, lease_expires_at = excluded.lease_expires_at,
        inventory = excluded.inventory, agent_draining = excluded.agent_draining,
        last_seen_at = now()
    WHERE parties.owner_id IS NULL OR parties.lease_expires_at < now()
       OR parties.instance_id = excluded.instance_id
    RETURNING epoch
    """
).bindparams(
    bindparam("lease", type_=Interval),
    bindparam("inventory", type_=parties.c.inventory.type),
)

_RENEW = text(
    """
    WITH mine AS (
      -- In one order everywhere, so that nobody waits for another in a circle.
      SELECT parties.federated_id
      FROM parties JOIN unnest(CAST(:federated_ids AS text[]), CAST(:epochs AS bigint[]))
        AS held(federated_id, epoch) USING (federated_id, epoch)
      WHERE owner_id = :owner_id ORDER BY parties.federated_id FOR UPDATE OF parties
    )
    UPDATE parties SET lease_expires_at = now() + :lease, last_seen_at = now()
    FROM mine WHERE parties.federated_id = mine.federated_id
    RETURNING parties.federated_id, epoch
    """
).bindparams(bindparam("lease", type_=Interval))

_RELEASE = text(
    """
    UPDATE parties SET owner_id = NULL, lease_expires_at = now() + :lease, last_seen_at = now()
    WHERE federated_id = :federated_id AND epoch = :epoch AND owner_id = :owner_id
    """
).bindparams(bindparam("lease", type_=Interval))

_PRESENT = """
    SELECT federated_id, owner_id IS NOT NULL AND lease_expires_at > now() AS connected,
           draining OR agent_draining AS draining
    FROM parties
"""
_PRESENCE = Statement(f"{_PRESENT} WHERE federated_id = ANY(CAST(:federated_ids AS text[]))")
# As the index has it.
_COORDINATING = Statement(f"""{_PRESENT} WHERE inventory @> '{{"coordinates": true}}'""")
_IS_DRAINING = parties.c.draining | parties.c.agent_draining
_IS_CONNECTED = (parties.c.owner_id.is_not(None)) & (parties.c.lease_expires_at > func.now())


async def claim_party(
    connection: Connection,
    *,
    federated_id: str,
    name: str,
    instance_id: str,
    inventory: Inventory,
    draining: bool,
    owner_id: str,
    lease: timedelta,
) -> int:
    """Give the party's connection to `owner_id`; return its new epoch.

    Raises:
        AlreadyExists: another agent of this party holds a live lease.
    """
    result = await connection.execute(
        _CLAIM,
        {
            "federated_id": federated_id,
            "name": name,
            "instance_id": instance_id,
            "owner_id": owner_id,
            "lease": lease,
            "inventory": from_inventory(inventory),
            "draining": draining,
        },
    )
    epoch: int | None = result.scalar_one_or_none()
    if epoch is None:
        raise AlreadyExists(
            f"another agent is connected as party {federated_id!r}; stop it, or give this one "
            "its own id",
            kind=Kind.PARTY,
            subject_id=federated_id,
            field="federated_id",
        )
    return epoch


async def renew_leases(
    connection: Connection,
    held: Sequence[tuple[str, int]],
    *,
    owner_id: str,
    lease: timedelta,
) -> dict[str, int]:
    """Renew in one statement the leases of these (federated_id, epoch) connections of `owner_id`.

    Return the epochs by party: what is left out has another connection by now.

    What the rows alone call ours is not enough: a connection whose end could not be written
    down would be renewed for ever.
    """
    rows = await connection.execute(
        _RENEW,
        {
            "federated_ids": [federated_id for federated_id, _ in held],
            "epochs": [epoch for _, epoch in held],
            "owner_id": owner_id,
            "lease": lease,
        },
    )
    return {row.federated_id: row.epoch for row in rows}


async def release_party(
    connection: Connection, *, federated_id: str, epoch: int, owner_id: str, lease: timedelta
) -> None:
    """Say that the connection has ended; a newer one is left alone.

    The party has a whole lease from now, for its return is spread over the most of one.
    """
    await connection.execute(
        _RELEASE,
        {
            "federated_id": federated_id,
            "epoch": epoch,
            "owner_id": owner_id,
            "lease": lease,
        },
    )


async def set_draining(connection: Connection, federated_id: str, *, draining: bool) -> None:
    """Take an operator's word on whether the party takes new work.

    Raises:
        NotFound: none of this id has ever connected.
    """
    statement = (
        update(parties).where(parties.c.federated_id == federated_id).values(draining=draining)
    )
    if not (await connection.execute(statement)).rowcount:
        raise _not_found(federated_id)


async def set_agent_draining(connection: Connection, *, federated_id: str, epoch: int) -> None:
    """Take the agent's word that it takes no new work; one of an older connection counts not."""
    await connection.execute(
        update(parties)
        .where(parties.c.federated_id == federated_id, parties.c.epoch == epoch)
        .values(agent_draining=True)
    )


async def presence_of(connection: Connection, federated_ids: list[str]) -> dict[str, Presence]:
    """Return how each of these parties can take part; unknown ones are left out."""
    rows = await _PRESENCE.rows(connection, federated_ids=federated_ids)
    return {
        row["federated_id"]: Presence(connected=row["connected"], draining=row["draining"])
        for row in rows
    }


async def coordinating(connection: Connection) -> dict[str, Presence]:
    """Return how the parties can take part whose agents were started to coordinate."""
    return {
        row["federated_id"]: Presence(
            connected=row["connected"], draining=row["draining"], coordinates=True
        )
        for row in await _COORDINATING.rows(connection)
    }


async def get_party(connection: Connection, federated_id: str) -> Party:
    """Return one party.

    Raises:
        NotFound: none of this id has ever connected.
    """
    statement = _select_parties().where(parties.c.federated_id == federated_id)
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        raise _not_found(federated_id)
    return _party(row)


async def list_parties(
    connection: Connection, *, offset: int, limit: int
) -> tuple[list[Party], int]:
    """Return one page, by id, and the number of all."""
    page = _select_parties().order_by(parties.c.federated_id).offset(offset).limit(limit)
    rows = (await connection.execute(page)).all()
    total = (await connection.execute(select(func.count()).select_from(parties))).scalar_one()
    return [_party(row) for row in rows], total


def _select_parties() -> Select[Any]:
    return select(parties, _IS_CONNECTED.label("connected"), _IS_DRAINING.label("takes_no_work"))


def _not_found(federated_id: str) -> NotFound:
    return NotFound(
        f"party not found: {federated_id[:64]!r} has never connected; check the id",
        kind=Kind.PARTY,
        subject_id=federated_id[:64],
        field="federated_id",
    )


def _party(row: Row[Any]) -> Party:
    return Party(
        federated_id=row.federated_id,
        name=row.name,
        connected=row.connected,
        draining=row.takes_no_work,
        inventory=to_inventory(row.inventory),
        first_seen_at=row.first_seen_at,
        last_seen_at=row.last_seen_at,
    )
