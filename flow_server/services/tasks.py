"""Use cases of tasks that start nothing: create, change, read, delete."""

from collections.abc import Sequence

from flow_contract import checks
from flow_contract.access import Caller
from flow_contract.errors import Conflict, Kind
from flow_contract.ids import new_id
from flow_contract.lifecycle import is_final_status
from flow_contract.tasks import Task, TaskSpec, check_task
from flow_server.domain.access import RULES, decide, listed_owner, owner_name
from flow_server.services.batches import Batches
from flow_server.storage import runs, shown_tasks, tasks
from flow_server.storage.database import Database
from flow_server.storage.runs import LockedRun
from flow_server.storage.shown_tasks import Asked, Found

# Read at once, about. A task that was not read before may have more than it is taken for.
_MAX_PARTIES = 5000
_UNKNOWN_PARTIES = 100


class TaskService:
    """Keeps tasks. Errors are those of `flow_server.storage.tasks` and the checks."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # Who asks at the same moment is answered from one look: a start wakes all who wait.
        self._reads: Batches[tuple[Asked, int], Found | None] = Batches(
            self._read, in_flight=2, most=_MAX_PARTIES, weigh=lambda asked: max(1, asked[1])
        )

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
            NotFound: no such task.
            Forbidden: it is another user's.
        """
        checks.text("task_id", task_id)
        task = (await self._found(Asked(task_id=task_id), _UNKNOWN_PARTIES)).task
        decide(RULES["TaskService/Get"], caller, task.owner)
        return task

    async def follow(
        self, task_id: str, run_id: str, *, parties: int = _UNKNOWN_PARTIES, caller: Caller
    ) -> Task:
        """Return a task with the status of `run_id`, or of the newest repeat of it.

        `parties` is about how many it has, if that is known.

        Raises:
            NotFound: no such task, or it has no such run.
            Forbidden: it is another user's.
        """
        while True:
            found = await self._found(Asked(task_id=task_id, run_id=run_id), parties)
            task = found.task
            decide(RULES["TaskService/Wait"], caller, task.owner)
            if task.status is not None and not is_final_status(task.status):
                return task
            if found.repeated_by is not None:
                run_id = found.repeated_by
            elif task.run_id is None:
                raise runs.not_found(run_id)
            else:
                return task

    async def run(self) -> None:
        """Read the tasks that are asked for until cancelled."""
        await self._reads.run()

    async def _found(self, asked: Asked, parties: int) -> Found:
        found = await self._reads.submit((asked, parties))
        if found is None:
            raise tasks.not_found(asked.task_id)
        return found

    async def _read(self, asked: Sequence[tuple[Asked, int]]) -> list[Found | None]:
        async with self._database.snapshot() as connection:
            return await shown_tasks.read_tasks(connection, [each for each, _ in asked])

    async def list(
        self, *, federated_id: str, page: int, limit: int, caller: Caller
    ) -> tuple[list[Task], int]:
        """Return one page, oldest first, and the number of all that match.

        Only the caller's own, unless everybody's are for it to see.
        """
        checks.page(page, limit)
        checks.text("federated_id", federated_id)
        async with self._database.snapshot() as connection:
            return await shown_tasks.list_tasks(
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
