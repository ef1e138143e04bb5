"""Queries on outputs as they come in: what is there, take parts in place, let files be seen.

Whoever changes what a party run has holds its row in `outputs` first; a part only moves a number.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from flow_contract.outputs import OutputFile, OutputsClosed
from flow_server.domain.output_keys import name_key
from flow_server.domain.outputs import KnownOutput, Totals
from flow_server.storage.database import Connection
from flow_server.storage.statements import Statement

_OPEN = Statement(
    """
    WITH asked AS (
      SELECT party_run_id, run_id, federated_id FROM party_runs WHERE party_run_id = :party_run_id
    ), made AS (
      INSERT INTO outputs (party_run_id)
      SELECT party_run_id FROM asked WHERE federated_id = :federated_id
      ON CONFLICT DO NOTHING
    )
    SELECT run_id, federated_id, coalesce(complete, false) AS complete
    FROM asked LEFT JOIN outputs USING (party_run_id)
    """
)

_HOLD = Statement("SELECT complete FROM outputs WHERE party_run_id = :party_run_id FOR UPDATE")

_TOTALS = Statement(
    """
    SELECT count(*) AS files, CAST(coalesce(sum(bytes), 0) AS bigint) AS bytes FROM (
      SELECT bytes FROM output_files WHERE party_run_id = :party_run_id
      UNION ALL SELECT bytes FROM output_uploads WHERE party_run_id = :party_run_id
    ) AS known
    """
)
_THERE = Statement(
    """
    SELECT name, upload_id, bytes, blob FROM output_files
    WHERE party_run_id = :party_run_id AND name_key = ANY(CAST(:keys AS text[]))
    """
)
_COMING = Statement(
    """
    SELECT name, upload_id, bytes, blob, stored_parts FROM output_uploads
    WHERE party_run_id = :party_run_id AND name_key = ANY(CAST(:keys AS text[]))
    """
)

_BEGIN = Statement(
    """
    INSERT INTO output_uploads (party_run_id, name_key, name, upload_id, bytes, blob)
    VALUES (:party_run_id, :key, :name, :upload_id, :bytes, :blob)
    """
)

# Compare and set: a part that is not the next one is not stored, however often it is sent.
_TAKE = Statement(
    """
    UPDATE output_uploads SET stored_parts = CAST(:number AS int) + 1
    WHERE party_run_id = :party_run_id AND name_key = :key AND blob = :blob
      AND stored_parts = CAST(:number AS int)
    RETURNING stored_parts
    """
)

_DROP_UPLOADS = Statement(
    """
    WITH dropped AS (
      DELETE FROM output_uploads
      WHERE party_run_id = :party_run_id
        AND (CAST(:keys AS text[]) IS NULL OR name_key = ANY(CAST(:keys AS text[])))
      RETURNING blob
    )
    INSERT INTO output_rubbish (blob, run_id, party_run_id)
    SELECT blob, CAST(:run_id AS text), :party_run_id FROM dropped ON CONFLICT DO NOTHING
    """
)

_END_UPLOAD = Statement(
    """
    DELETE FROM output_uploads
    WHERE party_run_id = :party_run_id AND name_key = :key AND blob = :blob
      AND stored_parts = CAST(:parts AS int)
    RETURNING blob
    """
)

# A blob of many files is rubbish when the last of them is gone.
_SHOW = Statement(
    """
    WITH shown AS (
      SELECT * FROM unnest(
        CAST(:keys AS text[]), CAST(:names AS text[]), CAST(:upload_ids AS text[]),
        CAST(:sizes AS bigint[]), CAST(:sums AS bytea[]), CAST(:offsets AS bigint[]))
      AS shown(name_key, name, upload_id, bytes, sha256, offset_bytes)
    ), replaced AS (
      SELECT DISTINCT blob FROM output_files JOIN shown USING (name_key)
      WHERE party_run_id = :party_run_id
    ), rubbish AS (
      INSERT INTO output_rubbish (blob, run_id, party_run_id)
      SELECT blob, CAST(:run_id AS text), :party_run_id FROM replaced
      WHERE NOT EXISTS (
        SELECT FROM output_files AS other
        WHERE other.party_run_id = :party_run_id AND other.blob = replaced.blob
          AND other.name_key NOT IN (SELECT name_key FROM shown))
      ON CONFLICT DO NOTHING
    )
    INSERT INTO output_files
      (party_run_id, name_key, name, upload_id, bytes, sha256, blob, offset_bytes)
    SELECT :party_run_id, name_key, name, upload_id, bytes, sha256, CAST(:blob AS text),
           offset_bytes
    FROM shown
    ON CONFLICT (party_run_id, name_key) DO UPDATE SET
      name = excluded.name, upload_id = excluded.upload_id, bytes = excluded.bytes,
      sha256 = excluded.sha256, blob = excluded.blob, offset_bytes = excluded.offset_bytes,
      stored_at = now()
    """
)

_CLOSE = Statement(
    """
    UPDATE outputs SET complete = true, withheld = :withheld,
      skipped = CAST(CAST(:skipped AS text) AS jsonb), skipped_count = CAST(:count AS bigint)
    WHERE party_run_id = :party_run_id AND NOT complete
    """
)

_RUBBISH = Statement(
    """
    SELECT blob, run_id, party_run_id FROM output_rubbish
    ORDER BY deleted_at LIMIT CAST(:most AS bigint)
    """
)
_SWEPT = Statement("DELETE FROM output_rubbish WHERE blob = ANY(CAST(:blobs AS text[]))")


@dataclass(frozen=True, kw_only=True)
class OpenOutputs:
    """A party run's outputs as its agent asks for them. `federated_id` says whose they are."""

    run_id: str
    federated_id: str
    complete: bool


@dataclass(frozen=True, kw_only=True)
class ShownOutput:
    """A file that is to be seen, and where in its blob it begins."""

    file: OutputFile
    sha256: bytes
    offset_bytes: int = 0


async def open_outputs(
    connection: Connection, *, federated_id: str, party_run_id: str
) -> OpenOutputs | None:
    """Return the party run, None if it is gone; the party's own has outputs from now on."""
    rows = await _OPEN.rows(connection, federated_id=federated_id, party_run_id=party_run_id)
    return OpenOutputs(**rows[0]) if rows else None


async def hold(connection: Connection, party_run_id: str) -> bool | None:
    """Let nobody else change what this party run has; return if it is complete, None if gone."""
    rows = await _HOLD.rows(connection, party_run_id=party_run_id)
    return bool(rows[0]["complete"]) if rows else None


async def known_outputs(
    connection: Connection, party_run_id: str, names: Sequence[str]
) -> tuple[dict[str, KnownOutput], dict[str, KnownOutput], Totals]:
    """Return which of these names are there, which are coming, and what there is in all."""
    keys = [name_key(name) for name in names]
    there = await _THERE.rows(connection, party_run_id=party_run_id, keys=keys)
    coming = await _COMING.rows(connection, party_run_id=party_run_id, keys=keys)
    (totals,) = await _TOTALS.rows(connection, party_run_id=party_run_id)
    return (
        {
            row["name"]: KnownOutput(
                upload_id=row["upload_id"], bytes=row["bytes"], blob=row["blob"]
            )
            for row in there
        },
        {
            row["name"]: KnownOutput(
                upload_id=row["upload_id"],
                bytes=row["bytes"],
                blob=row["blob"],
                stored_parts=row["stored_parts"],
            )
            for row in coming
        },
        Totals(files=totals["files"], bytes=totals["bytes"]),
    )


async def begin(
    connection: Connection, *, run_id: str, party_run_id: str, file: OutputFile, blob: str
) -> None:
    """Expect a file's parts; those of another upload of this name are given up."""
    await drop_uploads(connection, run_id=run_id, party_run_id=party_run_id, names=[file.name])
    await _BEGIN.rows(
        connection,
        party_run_id=party_run_id,
        key=name_key(file.name),
        name=file.name,
        upload_id=file.upload_id,
        bytes=file.bytes,
        blob=blob,
    )


async def take_part(
    connection: Connection, *, party_run_id: str, name: str, blob: str, number: int
) -> bool:
    """Count a part that is stored; False if it is not the next one."""
    rows = await _TAKE.rows(
        connection, party_run_id=party_run_id, key=name_key(name), blob=blob, number=number
    )
    return bool(rows)


async def drop_uploads(
    connection: Connection,
    *,
    run_id: str,
    party_run_id: str,
    names: Sequence[str] | None = None,
) -> None:
    """Give up what is coming under these names, None for all."""
    await _DROP_UPLOADS.rows(
        connection,
        run_id=run_id,
        party_run_id=party_run_id,
        keys=None if names is None else [name_key(name) for name in names],
    )


async def end_upload(
    connection: Connection, *, party_run_id: str, name: str, blob: str, parts: int
) -> bool:
    """Take the file off what is coming; False if not all its parts are there."""
    rows = await _END_UPLOAD.rows(
        connection, party_run_id=party_run_id, key=name_key(name), blob=blob, parts=parts
    )
    return bool(rows)


async def show(
    connection: Connection,
    *,
    run_id: str,
    party_run_id: str,
    blob: str,
    files: Sequence[ShownOutput],
) -> None:
    """Let files be seen, in the place of those of the same names."""
    await _SHOW.rows(
        connection,
        run_id=run_id,
        party_run_id=party_run_id,
        blob=blob,
        keys=[name_key(shown.file.name) for shown in files],
        names=[shown.file.name for shown in files],
        upload_ids=[shown.file.upload_id for shown in files],
        sizes=[shown.file.bytes for shown in files],
        sums=[shown.sha256 for shown in files],
        offsets=[shown.offset_bytes for shown in files],
    )


async def close(
    connection: Connection, *, run_id: str, party_run_id: str, closed: OutputsClosed
) -> None:
    """Take it that nothing follows; what was coming is given up."""
    await drop_uploads(connection, run_id=run_id, party_run_id=party_run_id)
    await _CLOSE.rows(
        connection,
        party_run_id=party_run_id,
        withheld=closed.withheld,
        skipped=json.dumps([asdict(one) for one in closed.skipped]),
        count=closed.skipped_count,
    )


async def rubbish(connection: Connection, *, most: int) -> list[tuple[str, str, str]]:
    """Return (run, party run, blob) of blobs that nobody needs any more, oldest first."""
    rows = await _RUBBISH.rows(connection, most=most)
    return [(row["run_id"], row["party_run_id"], row["blob"]) for row in rows]


async def forget_rubbish(connection: Connection, blobs: Sequence[str]) -> None:
    """Say that nothing is left of these blobs."""
    await _SWEPT.rows(connection, blobs=list(blobs))
