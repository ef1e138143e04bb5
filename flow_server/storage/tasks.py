"""Queries on tasks. A task's status is its newest run's."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, func, insert, select, true, update
from sqlalchemy.exc import IntegrityError

from flow_contract.errors import AlreadyExists, Kind, NotFound
from flow_contract.ids import name_key
from flow_contract.lifecycle import RunStatus
from flow_contract.runs import PartyRun
from flow_contract.tasks import Task, TaskSpec
from flow_server.domain.retries import announcement
from flow_server.storage.database import Connection
from flow_server.storage.documents import from_federate_data, to_federate_data
from flow_server.storage.party_runs import party_runs_of
from flow_server.storage.tables import runs, tasks

# What a task shows of a run.
_SHOWN = (runs.c.run_id, runs.c.status, runs.c.message, runs.c.moved_at, runs.c.retry_at)


@dataclass(frozen=True, kw_only=True)
class LockedTask:
    """A task row that this transaction holds; `run_id` is its newest run."""

    task_id: str
    spec: TaskSpec
    run_count: int
    run_id: str | None
    owner: str


async def insert_task(connection: Connection, task_id: str, spec: TaskSpec, owner: str) -> None:
    """Store a new task.

    Raises:
        AlreadyExists: the name is taken.
    """
    try:
        await connection.execute(insert(tasks).values(task_id=task_id, owner=owner, **_row(spec)))
    except IntegrityError as error:
        raise _name_taken(spec.name) from error


async def update_task(connection: Connection, task_id: str, spec: TaskSpec) -> None:
    """Replace a task; its runs keep their snapshot.

    Raises:
        NotFound: there is none of this id.
        AlreadyExists: the name is taken by another.
    """
    statement = (
        update(tasks).where(tasks.c.task_id == task_id).values(**_row(spec), modify_time=func.now())
    )
    try:
        result = await connection.execute(statement)
    except IntegrityError as error:
        raise _name_taken(spec.name) from error
    if not result.rowcount:
        raise not_found(task_id)


async def lock_task(connection: Connection, task_id: str) -> LockedTask:
    """Return the task and hold it: start, stop and delete of one task take turns.

    Raises:
        NotFound: there is none of this id.
    """
    statement = select(tasks).where(tasks.c.task_id == task_id).with_for_update()
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        raise not_found(task_id)
    return _locked(row)


async def lock_task_if_free(connection: Connection, task_id: str) -> LockedTask | None:
    """Return the task and hold it, None if it is gone or somebody else holds it."""
    statement = select(tasks).where(tasks.c.task_id == task_id).with_for_update(skip_locked=True)
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _locked(row)


async def set_latest_run(
    connection: Connection, task_id: str, *, run_id: str, run_count: int
) -> None:
    """Make `run_id` the run that the task's status comes from."""
    await connection.execute(
        update(tasks)
        .where(tasks.c.task_id == task_id)
        .values(latest_run_id=run_id, run_count=run_count, modify_time=func.now())
    )


async def get_task(connection: Connection, task_id: str, run_id: str | None = None) -> Task:
    """Return one task with the status of its newest run, or of `run_id`.

    If it has no such run, it looks as if it had never been started.

    Raises:
        NotFound: there is no such task.
    """
    wanted = tasks.c.latest_run_id if run_id is None else run_id
    statement = (
        select(tasks, *_SHOWN)
        .outerjoin(runs, (runs.c.run_id == wanted) & (runs.c.task_id == tasks.c.task_id))
        .where(tasks.c.task_id == task_id)
    )
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        raise not_found(task_id)
    return (await _with_party_runs(connection, [row]))[0]


async def list_tasks(
    connection: Connection, *, federated_id: str, owner: str | None, offset: int, limit: int
) -> tuple[list[Task], int]:
    """Return one page, oldest first, and the number of all that match.

    Only tasks that name `federated_id`; "" matches all. Only those of `owner`; None matches all.
    """
    matches = _matches(federated_id, owner)
    page = (
        select(tasks, *_SHOWN)
        .outerjoin(runs, runs.c.run_id == tasks.c.latest_run_id)
        .where(matches)
        .order_by(tasks.c.create_time, tasks.c.task_id)
        .offset(offset)
        .limit(limit)
    )
    count = select(func.count()).select_from(tasks).where(matches)
    rows = (await connection.execute(page)).all()
    total = (await connection.execute(count)).scalar_one()
    return await _with_party_runs(connection, rows), total


async def delete_task(connection: Connection, task_id: str) -> None:
    """Delete a task with its history; the caller holds it locked."""
    await connection.execute(delete(tasks).where(tasks.c.task_id == task_id))


def not_found(task_id: str) -> NotFound:
    """Return the error for a task that isn't there."""
    return NotFound(
        f"task not found: {task_id[:64]!r}",
        kind=Kind.TASK,
        subject_id=task_id[:64],
        field="task_id",
    )


async def _with_party_runs(connection: Connection, rows: Any) -> list[Task]:
    by_run = await party_runs_of(connection, [row.run_id for row in rows if row.run_id])
    return [_task(row, by_run.get(row.run_id, ())) for row in rows]


async def owner_of(connection: Connection, task_id: str) -> str:
    """Return whose task it is.

    Raises:
        NotFound: there is none of this id.
    """
    statement = select(tasks.c.owner).where(tasks.c.task_id == task_id)
    owner: str | None = (await connection.execute(statement)).scalar_one_or_none()
    if owner is None:
        raise not_found(task_id)
    return owner


def _matches(federated_id: str, owner: str | None) -> ColumnElement[bool]:
    matches: ColumnElement[bool] = true()
    if federated_id:
        matches &= tasks.c.federate_data.contains([{"federated_id": federated_id}])
    if owner is not None:
        matches &= tasks.c.owner == owner
    return matches


def _row(spec: TaskSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "name_key": name_key(spec.name),
        "template_id": spec.template_id,
        "remark": spec.remark,
        "federate_data": from_federate_data(spec.federate_data),
    }


def _name_taken(name: str) -> AlreadyExists:
    return AlreadyExists(
        f"duplicate task name: {name!r} is taken; choose another", kind=Kind.TASK, field="name"
    )


def _spec(row: Row[Any]) -> TaskSpec:
    return TaskSpec(
        name=row.name,
        template_id=row.template_id,
        remark=row.remark,
        federate_data=to_federate_data(row.federate_data),
    )


def _locked(row: Row[Any]) -> LockedTask:
    return LockedTask(
        task_id=row.task_id,
        spec=_spec(row),
        run_count=row.run_count,
        run_id=row.latest_run_id,
        owner=row.owner,
    )


def _shown(row: Row[Any]) -> tuple[RunStatus, str]:
    # The run has failed and stays so; the task it belongs to has not, as long as it is repeated.
    if row.retry_at is not None:
        return RunStatus.PENDING, announcement(row.retry_at, row.message)
    return RunStatus(row.status), row.message


def _task(row: Row[Any], party_runs: tuple[PartyRun, ...]) -> Task:
    started = row.run_id is not None
    status, message = _shown(row) if started else (None, "")
    return Task(
        task_id=row.task_id,
        spec=_spec(row),
        status=status,
        run_id=row.run_id,
        run_message=message,
        party_runs=party_runs if started else None,
        create_time=row.create_time,
        modify_time=max(row.modify_time, row.moved_at) if started else row.modify_time,
        owner=row.owner,
    )
