"""Metric points, stored many at once and read by party and number."""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
from sqlalchemy import text

from flow_contract.metrics import MetricBatch, MetricPoints, PartyMetrics, Place
from flow_server.storage.columns import MEMBER
from flow_server.storage.database import Connection
from flow_server.storage.statements import Statement

_OWNER = text("SELECT federated_id FROM party_runs WHERE party_run_id = :party_run_id")

# Whoever pushes the same party run at this moment waits here, and then finds what the other stored.
_HEAD = Statement(
    """
    INSERT INTO metric_heads (party_run_id, dropped, withheld)
    VALUES (CAST(:party_run_id AS text), CAST(:dropped AS bigint), CAST(:withheld AS text))
    ON CONFLICT (party_run_id)
    DO UPDATE SET dropped = greatest(metric_heads.dropped, excluded.dropped),
                  -- What was kept back once stays away, whatever the rules say later.
                  withheld = coalesce(nullif(excluded.withheld, ''), metric_heads.withheld)
    RETURNING stored
    """
)

_STORE = Statement(
    """
    WITH stored AS (
      INSERT INTO metric_points (party_run_id, sequence, name, step, at, value)
      SELECT CAST(:party_run_id AS text), CAST(:before AS bigint) + place, name, step,
             timestamptz 'epoch' + at_us * interval '1 microsecond', value
      FROM unnest(CAST(:names AS text[]), CAST(:steps AS bigint[]), CAST(:at_us AS bigint[]),
                  CAST(:values AS float8[]))
           WITH ORDINALITY AS sent(name, step, at_us, value, place)
    )
    UPDATE metric_heads SET stored = CAST(:last AS bigint)
    WHERE party_run_id = CAST(:party_run_id AS text)
    """
)

_RUN = text(
    """
    SELECT coalesce(nullif(:run_id, ''), latest_run_id) AS run_id FROM tasks
    WHERE task_id = :task_id
    """
)

_HAS_RUN = text("SELECT 1 FROM runs WHERE run_id = :run_id AND task_id = :task_id")

_HEADS = Statement(
    f"""
    SELECT rank, {MEMBER} AS federated_id, dropped, withheld
    FROM party_runs JOIN metric_heads USING (party_run_id)
    WHERE run_id = CAST(:run_id AS text)
      AND (CAST(:federated_id AS text) = '' OR {MEMBER} = CAST(:federated_id AS text))
    ORDER BY rank
    """  # noqa: S608 - a literal of flow_server.storage.columns
)

# Party by party by the primary key, so that a page costs what is on it.
_PAGE = Statement(
    f"""
    SELECT shares.rank, points.sequence, points.name, points.step, points.at_us, points.value
    FROM (
      SELECT party_run_id, rank FROM party_runs JOIN metric_heads USING (party_run_id)
      WHERE run_id = CAST(:run_id AS text) AND rank >= CAST(:rank AS int) AND stored > 0
        AND (CAST(:federated_id AS text) = '' OR {MEMBER} = CAST(:federated_id AS text))
      ORDER BY rank
    ) AS shares
    CROSS JOIN LATERAL (
      SELECT sequence, name, step, value,
             CAST(round(extract(epoch FROM at) * 1000000) AS bigint) AS at_us
      FROM metric_points
      WHERE metric_points.party_run_id = shares.party_run_id
        AND sequence > CASE WHEN shares.rank = CAST(:rank AS int)
                            THEN CAST(:sequence AS bigint) ELSE 0 END
        AND (CAST(:name AS text) = '' OR name = CAST(:name AS text))
      ORDER BY sequence LIMIT CAST(:most AS bigint)
    ) AS points
    ORDER BY shares.rank, points.sequence LIMIT CAST(:most AS bigint)
    """  # noqa: S608 - the same
)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which points; empty means all parties, all names. A coordinator is called so."""

    run_id: str
    federated_id: str
    name: str


async def owner_of(connection: Connection, party_run_id: str) -> str | None:
    """Return whose party run it is, None if there is none."""
    found = await connection.execute(_OWNER, {"party_run_id": party_run_id})
    return found.scalar_one_or_none()


async def store(connection: Connection, batch: MetricBatch) -> int:
    """Store what is new and leaves no gap; return the number of the last point stored."""
    (head,) = await _HEAD.rows(
        connection,
        party_run_id=batch.party_run_id,
        dropped=batch.dropped,
        withheld=batch.withheld,
    )
    stored = int(head["stored"])
    known, last = stored - batch.first_sequence + 1, batch.first_sequence + len(batch.points) - 1
    if known < 0 or last <= stored:
        return stored
    points = batch.points
    await _STORE.rows(
        connection,
        party_run_id=batch.party_run_id,
        before=stored,
        last=last,
        names=points.names[known:],
        steps=points.steps[known:],
        at_us=points.at_us[known:],
        values=points.values[known:],
    )
    return last


async def run_of(connection: Connection, task_id: str, run_id: str) -> str | None:
    """Return the task's run of this id, or its newest for ""; None if there is none."""
    values = {"task_id": task_id, "run_id": run_id}
    found: str | None = (await connection.execute(_RUN, values)).scalar_one_or_none()
    if not found or not run_id:
        return found
    return found if (await connection.execute(_HAS_RUN, values)).first() else None


async def page(
    connection: Connection, wanted: Wanted, after: Place, limit: int
) -> tuple[list[PartyMetrics], Place | None]:
    """Return up to `limit` points after a place, by party, and where to go on; None at the end."""
    asked = {"run_id": wanted.run_id, "federated_id": wanted.federated_id}
    heads = await _HEADS.rows(connection, **asked)
    rows = await _PAGE.rows(
        connection,
        **asked,
        name=wanted.name,
        rank=after.rank,
        sequence=after.sequence,
        most=limit + 1,
    )
    shown = rows[:limit]
    by_rank: dict[int, list[asyncpg.Record]] = {head["rank"]: [] for head in heads}
    for row in shown:
        by_rank[row["rank"]].append(row)
    parties = [
        PartyMetrics(
            federated_id=head["federated_id"],
            points=_points(by_rank[head["rank"]]),
            dropped=head["dropped"],
            withheld=head["withheld"],
        )
        for head in heads
    ]
    if len(rows) <= limit:
        return parties, None
    return parties, Place(rank=shown[-1]["rank"], sequence=shown[-1]["sequence"])


def _points(rows: Sequence[asyncpg.Record]) -> MetricPoints:
    return MetricPoints(
        names=tuple(row["name"] for row in rows),
        steps=tuple(row["step"] for row in rows),
        at_us=tuple(row["at_us"] for row in rows),
        values=tuple(row["value"] for row in rows),
    )
