"""Use cases of tasks that start nothing: create, change, read, delete."""

from flow_contract import checks
from flow_contract.access import Caller
from flow_contract.errors import Conflict, Kind
from flow_contract.ids import new_id
from flow_contract.lifecycle import is_final_status
from flow_contract.tasks import Task, TaskSpec, check_task
from flow_server.domain.access import RULES, decide, listed_owner, owner_name
from flow_server.storage import retries, runs, tasks
from flow_server.storage.database import Database
from flow_server.storage.runs import LockedRun


class TaskService:
    """Keeps tasks. Errors are those of `flow_server.storage.tasks` and the checks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, spec: TaskSpec, *, caller: Caller) -> str:
        """Store a task, the caller's own, and return its id.

        Template and parties are looked at when it starts.
        """
        check_task(spec)
        task_id = new_id()
        async with self._database.transaction() as connection:
            await tasks.insert_task(connection, task_id, spec, owner_name(caller))
        return task_id

    async def update(self, task_id: str, spec: TaskSpec, *, caller: Caller) -> None:
        """Replace a task. One that isn't there is reported before what is wrong with `spec`.

        Raises:
            Forbidden: it is another user's.
        """
        checks.text("task_id", task_id)
        async with self._database.transaction() as connection:
            task = await tasks.lock_task(connection, task_id)
            decide(RULES["TaskService/Update"], caller, task.owner)
            check_task(spec)
            await tasks.update_task(connection, task_id, spec)

    async def get(self, task_id: str, *, caller: Caller) -> Task:
        """Return a task with the status of its newest run.

        Raises:
            Forbidden: it is another user's.
        """
        checks.text("task_id", task_id)
        async with self._database.snapshot() as connection:
            task = await tasks.get_task(connection, task_id)
        decide(RULES["TaskService/Get"], caller, task.owner)
        return task

    async def follow(self, task_id: str, run_id: str, *, caller: Caller) -> Task:
        """Return a task with the status of `run_id`, or of the newest repeat of it.

        Raises:
            NotFound: no such task, or it has no such run.
            Forbidden: it is another user's.
        """
        async with self._database.snapshot() as connection:
            while True:
                task = await tasks.get_task(connection, task_id, run_id)
                decide(RULES["TaskService/Wait"], caller, task.owner)
                if task.status is not None and not is_final_status(task.status):
                    return task
                repeat = await retries.repeat_of(connection, run_id)
                if repeat is not None:
                    run_id = repeat
                elif task.run_id is None:
                    raise runs.not_found(run_id)
                else:
                    return task

    async def list(
        self, *, federated_id: str, page: int, limit: int, caller: Caller
    ) -> tuple[list[Task], int]:
        """Return one page, oldest first, and the number of all that match.

        Only the caller's own, unless everybody's are for it to see.
        """
        checks.page(page, limit)
        checks.text("federated_id", federated_id)
        async with self._database.snapshot() as connection:
            return await tasks.list_tasks(
                connection,
                federated_id=federated_id,
                owner=listed_owner(RULES["TaskService/List"], caller),
                offset=(page - 1) * limit,
                limit=limit,
            )

    async def delete(self, task_id: str, *, caller: Caller) -> None:
        """Delete a task with its history.

        Raises:
            Conflict: its newest run has not ended, or will be repeated.
            Forbidden: it is another user's.
        """
        checks.text("task_id", task_id)
        async with self._database.transaction() as connection:
            task = await tasks.lock_task(connection, task_id)
            decide(RULES["TaskService/Delete"], caller, task.owner)
            # All of them, since all go: in the order in which late reports take them.
            if any(is_active(run) for run in await runs.lock_runs_of_task(connection, task_id)):
                raise status_conflict("the task is active; stop it first", task_id)
            await tasks.delete_task(connection, task_id)


def is_active(run: LockedRun) -> bool:
    """Say whether the run has not ended, or will be repeated."""
    return run.retry_due or not is_final_status(run.facts.status)


def status_conflict(message: str, task_id: str) -> Conflict:
    """Return the error of a command that the task's status does not allow."""
    return Conflict(f"status conflict: {message}", kind=Kind.TASK, subject_id=task_id)
