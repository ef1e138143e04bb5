"""Queries on outputs as they are read: what each party has made, and where one file lies."""

import json
from dataclasses import dataclass

import asyncpg

from flow_contract.outputs import (
    PART_BYTES,
    ComingOutput,
    OutputsClosed,
    PartyOutputs,
    Place,
    Skipped,
    StoredOutput,
)
from flow_server.domain.output_keys import name_key
from flow_server.storage.columns import MEMBER
from flow_server.storage.database import Connection
from flow_server.storage.statements import Statement

_MAX_COMING = 100

_PARTIES = Statement(
    f"""
    SELECT party_run_id, {MEMBER} AS federated_id, rank,
           -- A share that ended before it ran has nothing to bring, and no agent says so.
           coalesce(complete, false) OR (finished_at IS NOT NULL AND started_at IS NULL)
             AS complete,
           coalesce(withheld, '') AS withheld, CAST(coalesce(skipped, '[]') AS text) AS skipped,
           coalesce(skipped_count, 0) AS skipped_count, made.files, made.bytes
    FROM party_runs LEFT JOIN outputs USING (party_run_id)
    CROSS JOIN LATERAL (
      SELECT count(*) AS files, CAST(coalesce(sum(bytes), 0) AS bigint) AS bytes
      FROM output_files WHERE output_files.party_run_id = party_runs.party_run_id
    ) AS made
    WHERE run_id = :run_id ORDER BY rank
    """  # noqa: S608 - a literal of flow_server.storage.columns
)

_COMING = Statement(
    """
    SELECT party_run_id, name, bytes, stored_parts FROM output_uploads
    JOIN party_runs USING (party_run_id)
    WHERE run_id = :run_id ORDER BY name LIMIT CAST(:most AS bigint)
    """
)

# Party by party by the primary key, so that a page costs what is on it.
_PAGE = Statement(
    f"""
    SELECT shares.rank, shares.federated_id, files.*
    FROM (
      SELECT party_run_id, {MEMBER} AS federated_id, rank FROM party_runs
      WHERE run_id = :run_id AND rank >= CAST(:rank AS int)
        AND (CAST(:federated_id AS text) = '' OR {MEMBER} = CAST(:federated_id AS text))
    ) AS shares
    CROSS JOIN LATERAL (
      SELECT name_key, name, bytes, sha256, stored_at FROM output_files
      WHERE output_files.party_run_id = shares.party_run_id
        AND name_key > CASE WHEN shares.rank = CAST(:rank AS int)
                            THEN CAST(:key AS text) ELSE '' END
        AND (CAST(:only AS text) = '' OR name_key = CAST(:only AS text))
      ORDER BY name_key LIMIT CAST(:most AS bigint)
    ) AS files
    ORDER BY shares.rank, files.name_key LIMIT CAST(:most AS bigint)
    """  # noqa: S608 - the same
)

_FILE = Statement(
    f"""
    SELECT party_run_id, {MEMBER} AS federated_id, name, bytes, sha256, stored_at, blob,
           offset_bytes
    FROM party_runs JOIN output_files USING (party_run_id)
    WHERE run_id = :run_id AND {MEMBER} = CAST(:federated_id AS text) AND name_key = :key
    """  # noqa: S608 - the same
)


@dataclass(frozen=True, kw_only=True)
class LyingOutput:
    """A file, and where it lies: from `offset_bytes` on in the parts of `blob`."""

    stored: StoredOutput
    party_run_id: str
    blob: str
    offset_bytes: int


async def outputs_of_run(connection: Connection, run_id: str) -> list[PartyOutputs]:
    """Return what each party of the run has made, by rank; a coordinator's is called so."""
    coming: dict[str, list[ComingOutput]] = {}
    for row in await _COMING.rows(connection, run_id=run_id, most=_MAX_COMING):
        coming.setdefault(row["party_run_id"], []).append(_coming(row))
    return [
        PartyOutputs(
            federated_id=row["federated_id"],
            rank=row["rank"],
            complete=row["complete"],
            files=row["files"],
            bytes=row["bytes"],
            closed=OutputsClosed(
                withheld=row["withheld"],
                skipped=tuple(
                    Skipped(name=one["name"], why=one["why"]) for one in json.loads(row["skipped"])
                ),
                skipped_count=row["skipped_count"],
            ),
            coming=tuple(coming.get(row["party_run_id"], ())),
        )
        for row in await _PARTIES.rows(connection, run_id=run_id)
    ]


async def page(
    connection: Connection,
    *,
    run_id: str,
    federated_id: str,
    name: str,
    after: Place,
    limit: int,
) -> tuple[list[StoredOutput], Place | None]:
    """Return up to `limit` files after a place, by party, and where to go on; None at the end.

    "" means all parties, all names.
    """
    rows = await _PAGE.rows(
        connection,
        run_id=run_id,
        federated_id=federated_id,
        rank=after.rank,
        key=after.key,
        only=name_key(name) if name else "",
        most=limit + 1,
    )
    shown = rows[:limit]
    more = len(rows) > limit
    return (
        [_stored(row) for row in shown],
        Place(rank=shown[-1]["rank"], key=shown[-1]["name_key"]) if more else None,
    )


async def find(
    connection: Connection, *, run_id: str, federated_id: str, name: str
) -> LyingOutput | None:
    """Return the file, None if there is none of this name."""
    rows = await _FILE.rows(
        connection, run_id=run_id, federated_id=federated_id, key=name_key(name)
    )
    if not rows:
        return None
    row = rows[0]
    return LyingOutput(
        stored=_stored(row),
        party_run_id=row["party_run_id"],
        blob=row["blob"],
        offset_bytes=row["offset_bytes"],
    )


def _stored(row: asyncpg.Record) -> StoredOutput:
    return StoredOutput(
        federated_id=row["federated_id"],
        name=row["name"],
        bytes=row["bytes"],
        sha256=bytes(row["sha256"]),
        stored_at=row["stored_at"],
    )


def _coming(row: asyncpg.Record) -> ComingOutput:
    stored_bytes = min(row["stored_parts"] * PART_BYTES, row["bytes"])
    return ComingOutput(name=row["name"], bytes=row["bytes"], stored_bytes=stored_bytes)
