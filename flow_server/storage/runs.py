"""Queries on runs: lock and read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, update

from flow_contract.errors import Kind, NotFound
from flow_contract.lifecycle import Desired, RunStatus
from flow_contract.reasons import known
from flow_contract.runs import Run
from flow_server.domain import coordination
from flow_server.domain.fold import RunFacts
from flow_server.domain.start import REFUSALS
from flow_server.storage.database import Connection
from flow_server.storage.documents import to_snapshot
from flow_server.storage.party_runs import party_runs_of
from flow_server.storage.statements import Statement
from flow_server.storage.tables import runs

# In one order everywhere, so that two transactions never wait for each other in a circle.
_LOCKED = """
    SELECT run_id, task_id, status, desired, cause, coordination,
           retry_at IS NOT NULL AS retry_due
    FROM runs
"""
_LOCK = Statement(
    f"{_LOCKED} WHERE run_id = ANY(CAST(:run_ids AS text[])) ORDER BY run_id FOR UPDATE"
)
_LOCK_OF_PARTY_RUNS = Statement(
    f"""
    {_LOCKED} WHERE run_id IN (
      SELECT run_id FROM party_runs WHERE party_run_id = ANY(CAST(:party_run_ids AS text[])))
    ORDER BY run_id FOR UPDATE
    """  # noqa: S608 - a literal of this file
)

_STARTED_BY = Statement(
    """
    SELECT runs.task_id, runs.run_id, runs.message, EXISTS (
      SELECT FROM party_runs WHERE party_runs.run_id = runs.run_id
        AND party_runs.reason = ANY(CAST(:refusals AS text[]))) AS refused_at_start
    FROM unnest(CAST(:task_ids AS text[]), CAST(:request_ids AS text[]))
         AS asked(task_id, request_id)
    JOIN runs USING (task_id, request_id)
    """
)
_REFUSALS = sorted(reason.value for reason in REFUSALS)


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


async def started_by(
    connection: Connection, requests: Sequence[tuple[str, str]]
) -> dict[str, EarlierStart]:
    """Return, by task, the runs that these (task id, request id) have made before."""
    rows = await _STARTED_BY.rows(
        connection,
        task_ids=[task_id for task_id, _ in requests],
        request_ids=[request_id for _, request_id in requests],
        refusals=_REFUSALS,
    )
    return {
        row["task_id"]: EarlierStart(
            run_id=row["run_id"], refused_at_start=row["refused_at_start"], message=row["message"]
        )
        for row in rows
    }


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
    return _locked(await _LOCK.rows(connection, run_ids=run_ids))


async def lock_runs_of_party_runs(
    connection: Connection, party_run_ids: list[str]
) -> list[LockedRun]:
    """Return the runs that these party runs belong to, and hold them, in the common order."""
    return _locked(await _LOCK_OF_PARTY_RUNS.rows(connection, party_run_ids=party_run_ids))


async def lock_runs_of_task(connection: Connection, task_id: str) -> list[LockedRun]:
    """Return all runs of a task that the caller holds, and hold them, in the common order."""
    statement = select(runs.c.run_id).where(runs.c.task_id == task_id)
    return await lock_runs(connection, list((await connection.execute(statement)).scalars()))


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
            requested_by=row.requested_by,
        )
        for row in rows
    ]


def _locked(rows: Sequence[Any]) -> list[LockedRun]:
    return [
        LockedRun(
            run_id=row["run_id"],
            task_id=row["task_id"],
            facts=RunFacts(
                status=RunStatus(row["status"]),
                desired=Desired(row["desired"]),
                cause=known(row["cause"]),
                coordination=coordination.known(row["coordination"]),
            ),
            retry_due=row["retry_due"],
        )
        for row in rows
    ]
