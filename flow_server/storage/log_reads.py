"""Queries on logs as they are read: where to begin, what there is, in the order of time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from flow_server.storage import runs, tasks
from flow_server.storage.columns import MEMBER
from flow_server.storage.database import Connection
from flow_server.storage.statements import Statement

_TASK = Statement(
    """
    SELECT tasks.latest_run_id, runs.run_id AS asked FROM tasks
    LEFT JOIN runs ON runs.task_id = tasks.task_id AND runs.run_id = :run_id
    WHERE tasks.task_id = :task_id
    """
)

_STATES = Statement(
    f"""
    SELECT party_run_id, {MEMBER} AS federated_id, rank, state, started_at IS NOT NULL AS started,
           coalesce(end_byte, 0) AS end_byte, coalesce(complete, false) AS complete,
           coalesce(withheld, false) AS withheld
    FROM party_runs LEFT JOIN logs USING (party_run_id)
    WHERE run_id = :run_id ORDER BY rank
    """  # noqa: S608 - a literal of flow_server.storage.columns
)

_PAGE = Statement(
    """
    SELECT chunks.party_run_id, start_byte, raw_bytes, lines, first_at, last_at
    FROM unnest(CAST(:ids AS text[]), CAST(:starts AS bigint[]), CAST(:ends AS bigint[]))
         WITH ORDINALITY AS asked(party_run_id, from_byte, to_byte, place)
    JOIN log_chunks AS chunks ON chunks.party_run_id = asked.party_run_id
     AND start_byte >= from_byte AND start_byte < to_byte
    ORDER BY first_at, place, start_byte LIMIT CAST(:most AS bigint)
    """
)

_SINCE = Statement(
    """
    SELECT party_run_id, min(start_byte) AS start_byte FROM log_chunks
    WHERE party_run_id = ANY(CAST(:party_run_ids AS text[])) AND last_at >= :since
    GROUP BY party_run_id
    """
)

# The newest chunk from which on there are at least so many line ends.
_TAIL = Statement(
    """
    SELECT party_run_id, max(start_byte) AS start_byte FROM (
      SELECT party_run_id, start_byte, sum(lines) OVER (
        PARTITION BY party_run_id ORDER BY start_byte DESC) AS lines_from_here
      FROM log_chunks WHERE party_run_id = ANY(CAST(:party_run_ids AS text[]))
    ) AS counted
    WHERE lines_from_here >= CAST(:lines AS bigint) GROUP BY party_run_id
    """
)


@dataclass(frozen=True, kw_only=True)
class StoredLog:
    """A party run, how far it got, and how far its log does. A coordinator's is called so."""

    party_run_id: str
    federated_id: str
    rank: int
    state: str
    started: bool
    end: int
    complete: bool
    withheld: bool


@dataclass(frozen=True, kw_only=True)
class ChunkRow:
    """A chunk without its bytes."""

    party_run_id: str
    start: int
    raw_bytes: int
    lines: int
    first_at: datetime
    last_at: datetime


async def run_to_read(connection: Connection, task_id: str, run_id: str) -> str | None:
    """Return the run if it is one of the task's, for "" the task's newest, None without any.

    Raises:
        NotFound: no such task, or no such run of it.
    """
    rows = await _TASK.rows(connection, task_id=task_id, run_id=run_id)
    if not rows:
        raise tasks.not_found(task_id)
    if run_id and rows[0]["asked"] is None:
        raise runs.not_found(run_id)
    found: str | None = rows[0]["asked"] if run_id else rows[0]["latest_run_id"]
    return found


async def logs_of_run(connection: Connection, run_id: str) -> list[StoredLog]:
    """Return all party runs of the run, by rank."""
    return [
        StoredLog(
            party_run_id=row["party_run_id"],
            federated_id=row["federated_id"],
            rank=row["rank"],
            state=row["state"],
            started=row["started"],
            end=row["end_byte"],
            complete=row["complete"],
            withheld=row["withheld"],
        )
        for row in await _STATES.rows(connection, run_id=run_id)
    ]


async def chunks_between(
    connection: Connection, spans: Mapping[str, tuple[int, int]], *, most: int
) -> list[ChunkRow]:
    """Return the first chunks in the order of time that begin in [start, end) of their logs."""
    rows = await _PAGE.rows(
        connection,
        ids=list(spans),
        starts=[start for start, _ in spans.values()],
        ends=[end for _, end in spans.values()],
        most=most,
    )
    return [
        ChunkRow(
            party_run_id=row["party_run_id"],
            start=row["start_byte"],
            raw_bytes=row["raw_bytes"],
            lines=row["lines"],
            first_at=row["first_at"],
            last_at=row["last_at"],
        )
        for row in rows
    ]


async def starts_since(
    connection: Connection, party_run_ids: Sequence[str], since: datetime
) -> dict[str, int]:
    """Return where the first chunk begins that has anything from `since` on, where there is one."""
    rows = await _SINCE.rows(connection, party_run_ids=list(party_run_ids), since=since)
    return {row["party_run_id"]: row["start_byte"] for row in rows}


async def starts_of_tail(
    connection: Connection, party_run_ids: Sequence[str], lines: int
) -> dict[str, int]:
    """Return where the last chunks with so many line ends begin; missing where there are fewer."""
    rows = await _TAIL.rows(connection, party_run_ids=list(party_run_ids), lines=lines)
    return {row["party_run_id"]: row["start_byte"] for row in rows}
