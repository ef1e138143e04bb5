"""Queries on tasks. A task's status is its newest run's."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from flow_contract.errors import AlreadyExists, Kind, NotFound
from flow_contract.ids import name_key
from flow_contract.tasks import TaskSpec
from flow_server.storage.database import Connection
from flow_server.storage.documents import from_federate_data, to_federate_data
from flow_server.storage.statements import Statement
from flow_server.storage.tables import tasks

# In one order everywhere, so that two batches never wait for each other in a circle.
_LOCK = Statement(
    """
    SELECT task_id, name, template_id, remark, federate_data, run_count, latest_run_id,
           owner
    FROM tasks
    WHERE task_id = ANY(CAST(:task_ids AS text[])) ORDER BY task_id FOR UPDATE
    """
)


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


async def lock_tasks(connection: Connection, task_ids: list[str]) -> dict[str, LockedTask]:
    """Return those of these tasks that there are, by id, and hold them."""
    rows = await _LOCK.rows(connection, task_ids=task_ids)
    return {
        row["task_id"]: LockedTask(
            task_id=row["task_id"],
            spec=TaskSpec(
                name=row["name"],
                template_id=row["template_id"],
                remark=row["remark"],
                federate_data=to_federate_data(row["federate_data"]),
            ),
            run_count=row["run_count"],
            run_id=row["latest_run_id"],
            owner=row["owner"],
        )
        for row in rows
    }


async def lock_task_if_free(connection: Connection, task_id: str) -> LockedTask | None:
    """Return the task and hold it, None if it is gone or somebody else holds it."""
    statement = select(tasks).where(tasks.c.task_id == task_id).with_for_update(skip_locked=True)
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _locked(row)


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
