"""Queries on logs as they come in: take chunks in place, forget what was deleted."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text

from flow_contract.logs import LogChunk, LogClosed
from flow_server.storage.database import Connection
from flow_server.storage.statements import Statement

_OPEN = Statement(
    """
    WITH asked AS (
      SELECT party_run_id, party_runs.federated_id
      FROM unnest(CAST(:party_run_ids AS text[])) AS asked(party_run_id)
      JOIN party_runs USING (party_run_id)
    ), made AS (
      INSERT INTO logs (party_run_id)
      SELECT party_run_id FROM asked WHERE federated_id = :federated_id
      ORDER BY party_run_id ON CONFLICT DO NOTHING
    )
    SELECT asked.party_run_id, party_runs.run_id, asked.federated_id,
           coalesce(logs.end_byte, 0) AS end_byte, coalesce(logs.complete, false) AS complete
    FROM asked JOIN party_runs USING (party_run_id) LEFT JOIN logs USING (party_run_id)
    """
)

# Compare and set: what does not begin at the end is not stored, however often it is sent.
_APPEND = Statement(
    """
    WITH spans AS (
      SELECT * FROM unnest(
        CAST(:span_ids AS text[]), CAST(:span_starts AS bigint[]), CAST(:span_ends AS bigint[]))
      AS spans(party_run_id, start_byte, end_byte)
    ), held AS (
      -- In one order, so that two transactions never wait for each other in a circle.
      SELECT logs.party_run_id FROM logs JOIN spans USING (party_run_id)
      ORDER BY logs.party_run_id FOR UPDATE OF logs
    ), moved AS (
      UPDATE logs SET end_byte = spans.end_byte
      FROM spans JOIN held USING (party_run_id)
      WHERE logs.party_run_id = spans.party_run_id AND logs.end_byte = spans.start_byte
        AND NOT logs.complete
      RETURNING logs.party_run_id
    ), stored AS (
      INSERT INTO log_chunks (party_run_id, start_byte, raw_bytes, lines, first_at, last_at)
      SELECT chunks.* FROM unnest(
        CAST(:ids AS text[]), CAST(:starts AS bigint[]), CAST(:sizes AS int[]),
        CAST(:lines AS int[]), CAST(:first AS timestamptz[]), CAST(:last AS timestamptz[]))
      AS chunks(party_run_id, start_byte, raw_bytes, lines, first_at, last_at)
      JOIN moved USING (party_run_id)
    )
    SELECT DISTINCT party_runs.run_id, moved.party_run_id
    FROM moved JOIN party_runs USING (party_run_id)
    """
)

_ENDS = Statement(
    """
    SELECT party_run_id, end_byte FROM logs
    WHERE party_run_id = ANY(CAST(:party_run_ids AS text[]))
    """
)

_CLOSE = Statement(
    """
    UPDATE logs SET complete = true, withheld = :withheld
    FROM party_runs
    WHERE logs.party_run_id = :party_run_id AND logs.end_byte = :end_byte
      AND party_runs.party_run_id = logs.party_run_id
    RETURNING party_runs.run_id
    """
)

_DELETED = Statement(
    """
    SELECT run_id FROM deleted_runs
    ORDER BY deleted_at LIMIT CAST(:most AS bigint)
    """
)
_FORGET = text("DELETE FROM deleted_runs WHERE run_id = :run_id")


@dataclass(frozen=True, kw_only=True)
class OpenLog:
    """A party run's log as its agent asks for it. `federated_id` says whose it is."""

    party_run_id: str
    run_id: str
    federated_id: str
    end: int
    complete: bool


async def open_logs(
    connection: Connection, *, federated_id: str, party_run_ids: Sequence[str]
) -> list[OpenLog]:
    """Return those of the party runs that there are; the party's own have a log from now on."""
    rows = await _OPEN.rows(
        connection, federated_id=federated_id, party_run_ids=list(party_run_ids)
    )
    return [
        OpenLog(
            party_run_id=row["party_run_id"],
            run_id=row["run_id"],
            federated_id=row["federated_id"],
            end=row["end_byte"],
            complete=row["complete"],
        )
        for row in rows
    ]


async def append(
    connection: Connection, spans: Sequence[Sequence[LogChunk]]
) -> tuple[set[str], set[str]]:
    """Store the chunks of each span that begins where its log ends: all of a span, or none.

    A span holds one party run's chunks without a gap; there is one at most of each. Returns the
    runs that have more now, and the party runs whose span was stored.
    """
    chunks = [chunk for span in spans for chunk in span]
    rows = await _APPEND.rows(
        connection,
        span_ids=[span[0].party_run_id for span in spans],
        span_starts=[span[0].start for span in spans],
        span_ends=[span[-1].end for span in spans],
        ids=[chunk.party_run_id for chunk in chunks],
        starts=[chunk.start for chunk in chunks],
        sizes=[chunk.raw_bytes for chunk in chunks],
        lines=[chunk.lines for chunk in chunks],
        first=[chunk.first_at for chunk in chunks],
        last=[chunk.last_at for chunk in chunks],
    )
    return {row["run_id"] for row in rows}, {row["party_run_id"] for row in rows}


async def ends(connection: Connection, party_run_ids: Sequence[str]) -> dict[str, int]:
    """Return where the logs end; those that are gone are missing."""
    rows = await _ENDS.rows(connection, party_run_ids=list(party_run_ids))
    return {row["party_run_id"]: row["end_byte"] for row in rows}


async def close(connection: Connection, closed: LogClosed) -> str | None:
    """Take nothing more after this end; return the run, None if the log does not end there."""
    rows = await _CLOSE.rows(
        connection,
        party_run_id=closed.party_run_id,
        end_byte=closed.end,
        withheld=closed.withheld,
    )
    return str(rows[0]["run_id"]) if rows else None


async def deleted_runs(connection: Connection, *, most: int) -> list[str]:
    """Return runs that were deleted and whose blobs may still be there."""
    rows = await _DELETED.rows(connection, most=most)
    return [row["run_id"] for row in rows]


async def forget_run(connection: Connection, run_id: str) -> None:
    """Say that no blob of a deleted run is left."""
    await connection.execute(_FORGET, {"run_id": run_id})
