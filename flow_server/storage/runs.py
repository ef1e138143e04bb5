"""Queries on runs: insert, lock, move, read."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import bindparam, exists, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

from flow_contract.errors import Kind, NotFound
from flow_contract.lifecycle import Desired, RunStatus, is_final_status
from flow_contract.reasons import Reason, known
from flow_contract.runs import Run
from flow_server.domain.fold import RunFacts
from flow_server.domain.start import StartPlan
from flow_server.storage.database import Connection
from flow_server.storage.documents import from_snapshot, to_snapshot
from flow_server.storage.party_runs import party_runs_of
from flow_server.storage.tables import party_runs, runs

# Status and desired move together by compare-and-set; each that moved leaves its event.
_MOVE = text(
    """
    WITH moved AS (
      UPDATE runs AS new
      SET status = :status, desired = :desired, cause = :cause, message = :message,
          moved_at = CASE WHEN new.status <> :status THEN now() ELSE new.moved_at END,
          ended_at = CASE WHEN :is_final THEN now() END,
          retry_at = now() + make_interval(secs => CAST(:retry_after_s AS double precision)),
          launch_ordered_at = CASE WHEN :desired = 'running' AND new.launch_ordered_at IS NULL
                                   THEN now() ELSE new.launch_ordered_at END
      FROM runs AS old
      WHERE old.run_id = new.run_id AND new.run_id = :run_id
        AND new.status = :from_status AND new.desired = :from_desired
      RETURNING new.run_id, old.status AS from_status, old.desired AS from_desired
    ), events_of_status AS (
      INSERT INTO events (run_id, side, from_value, to_value, reason)
      SELECT run_id, 'status', from_status, :status, :cause FROM moved
      WHERE from_status <> :status
    ), events_of_desired AS (
      INSERT INTO events (run_id, side, from_value, to_value, reason)
      SELECT run_id, 'desired', from_desired, :desired, :cause FROM moved
      WHERE from_desired <> :desired
    )
    SELECT run_id FROM moved
    """
)

# In one order everywhere, so that two transactions never wait for each other in a circle.
_LOCK = text(
    """
    SELECT run_id, task_id, status, desired, cause, retry_at IS NOT NULL AS retry_due FROM runs
    WHERE run_id = ANY(:run_ids) ORDER BY run_id FOR UPDATE
    """
).bindparams(bindparam("run_ids", type_=ARRAY(Text)))


@dataclass(frozen=True, kw_only=True)
class LockedRun:
    """A run row that this transaction holds. With `retry_due` it failed and will be repeated."""

    run_id: str
    task_id: str
    facts: RunFacts
    retry_due: bool


@dataclass(frozen=True, kw_only=True)
class Repeat:
    """The run that a new one repeats, and how many repeats of the first run that makes."""

    retry_of: str
    retry_number: int


@dataclass(frozen=True, kw_only=True)
class EarlierStart:
    """What an earlier request has made. `message` says why, if it was refused at once."""

    run_id: str
    refused_at_start: bool
    message: str


async def insert_run(
    connection: Connection,
    *,
    run_id: str,
    task_id: str,
    number: int,
    request_id: str,
    plan: StartPlan,
    repeats: Repeat | None,
) -> None:
    """Store a new run with its first event; its party runs are stored by the caller."""
    template = plan.snapshot.template
    connect_deadline = func.now() + timedelta(seconds=template.start_deadline_s)
    prepare_deadline = func.now() + timedelta(seconds=template.prepare_deadline_s)
    await connection.execute(
        insert(runs).values(
            run_id=run_id,
            task_id=task_id,
            number=number,
            request_id=request_id or None,
            snapshot=from_snapshot(plan.snapshot),
            status=plan.status,
            desired=plan.desired,
            cause=plan.cause,
            message=plan.message,
            connect_deadline_at=connect_deadline,
            prepare_deadline_at=prepare_deadline,
            ended_at=func.now() if is_final_status(plan.status) else None,
            retry_of=None if repeats is None else repeats.retry_of,
            retry_number=0 if repeats is None else repeats.retry_number,
        )
    )
    await connection.execute(
        text(
            "INSERT INTO events (run_id, side, to_value, reason)"
            " VALUES (:run_id, 'status', :status, :cause)"
        ),
        {"run_id": run_id, "status": plan.status.value, "cause": plan.cause.value},
    )


async def find_started_run(
    connection: Connection, task_id: str, request_id: str
) -> EarlierStart | None:
    """Return the run that this request made, None if it made none."""
    refused = exists().where(
        party_runs.c.run_id == runs.c.run_id,
        party_runs.c.reason.in_((Reason.PARTY_UNKNOWN, Reason.PARTY_DRAINING)),
    )
    statement = select(runs.c.run_id, runs.c.message, refused.label("refused_at_start")).where(
        runs.c.task_id == task_id, runs.c.request_id == request_id
    )
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        return None
    return EarlierStart(
        run_id=row.run_id, refused_at_start=row.refused_at_start, message=row.message
    )


async def was_stopped_by(connection: Connection, task_id: str, request_id: str) -> bool:
    """Say whether this request has stopped a run of the task before."""
    statement = select(runs.c.run_id).where(
        runs.c.task_id == task_id, runs.c.stop_request_id == request_id
    )
    return (await connection.execute(statement)).first() is not None


async def set_stop_request(connection: Connection, run_id: str, request_id: str) -> None:
    """Remember which request stopped the run."""
    await connection.execute(
        update(runs).where(runs.c.run_id == run_id).values(stop_request_id=request_id)
    )


async def lock_runs(connection: Connection, run_ids: list[str]) -> list[LockedRun]:
    """Return these runs and hold them. Always before their party runs are written."""
    rows = await connection.execute(_LOCK, {"run_ids": run_ids})
    return [
        LockedRun(
            run_id=row.run_id,
            task_id=row.task_id,
            facts=RunFacts(
                status=RunStatus(row.status),
                desired=Desired(row.desired),
                cause=known(row.cause),
            ),
            retry_due=row.retry_due,
        )
        for row in rows
    ]


async def lock_runs_of_task(connection: Connection, task_id: str) -> list[LockedRun]:
    """Return all runs of a task that the caller holds, and hold them, in the common order."""
    statement = select(runs.c.run_id).where(runs.c.task_id == task_id)
    return await lock_runs(connection, list((await connection.execute(statement)).scalars()))


async def move_run(
    connection: Connection,
    run: LockedRun,
    facts: RunFacts,
    *,
    message: str,
    retry_after_s: float | None = None,
) -> None:
    """Move a locked run to `facts`, with an event per side that moved.

    With `retry_after_s` it is to be repeated after that time.
    """
    await connection.execute(
        _MOVE,
        {
            "run_id": run.run_id,
            "from_status": run.facts.status.value,
            "from_desired": run.facts.desired.value,
            "status": facts.status.value,
            "desired": facts.desired.value,
            "cause": facts.cause.value,
            "message": message,
            "is_final": is_final_status(facts.status),
            "retry_after_s": retry_after_s,
        },
    )


async def run_ids_of(connection: Connection, party_run_ids: list[str]) -> list[str]:
    """Return the runs that these party runs belong to."""
    statement = (
        select(party_runs.c.run_id).where(party_runs.c.party_run_id.in_(party_run_ids)).distinct()
    )
    return list((await connection.execute(statement)).scalars())


async def get_run(connection: Connection, run_id: str) -> Run:
    """Return one run.

    Raises:
        NotFound: there is none of this id.
    """
    row = (await connection.execute(select(runs).where(runs.c.run_id == run_id))).one_or_none()
    if row is None:
        raise not_found(run_id)
    return (await _with_party_runs(connection, [row]))[0]


async def list_runs(
    connection: Connection, task_id: str, *, offset: int, limit: int
) -> tuple[list[Run], int]:
    """Return one page of a task's runs, newest first, and the number of all."""
    page = (
        select(runs)
        .where(runs.c.task_id == task_id)
        .order_by(runs.c.number.desc())
        .offset(offset)
        .limit(limit)
    )
    count = select(func.count()).select_from(runs).where(runs.c.task_id == task_id)
    rows = (await connection.execute(page)).all()
    total = (await connection.execute(count)).scalar_one()
    return await _with_party_runs(connection, rows), total


def not_found(run_id: str) -> NotFound:
    """Return the error for a run that isn't there."""
    return NotFound(
        f"run not found: {run_id[:64]!r}",
        kind=Kind.RUN,
        subject_id=run_id[:64],
        field="run_id",
    )


async def _with_party_runs(connection: Connection, rows: Any) -> list[Run]:
    by_run = await party_runs_of(connection, [row.run_id for row in rows])
    return [
        Run(
            run_id=row.run_id,
            task_id=row.task_id,
            number=row.number,
            status=RunStatus(row.status),
            message=row.message,
            snapshot=to_snapshot(row.snapshot),
            party_runs=by_run.get(row.run_id, ()),
            created_at=row.created_at,
            ended_at=row.ended_at,
            retry_of=row.retry_of,
            retry_at=row.retry_at,
        )
        for row in rows
    ]
