"""Use cases of a task's history."""

from flow_contract import checks
from flow_contract.access import Caller
from flow_contract.runs import Run
from flow_server.domain.access import RULES, decide
from flow_server.storage import runs, tasks
from flow_server.storage.database import Database


class RunService:
    """Reads runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, run_id: str, *, caller: Caller) -> Run:
        """Return a run.

        Raises:
            NotFound: no such run.
            Forbidden: its task is another user's.
        """
        checks.text("run_id", run_id)
        async with self._database.snapshot() as connection:
            run = await runs.get_run(connection, run_id)
            owner = await tasks.owner_of(connection, run.task_id)
        decide(RULES["RunService/Get"], caller, owner)
        return run

    async def list(
        self, task_id: str, *, page: int, limit: int, caller: Caller
    ) -> tuple[list[Run], int]:
        """Return one page of a task's runs, newest first, and the number of all.

        Raises:
            NotFound: no such task.
            Forbidden: it is another user's.
        """
        checks.text("task_id", task_id)
        checks.page(page, limit)
        async with self._database.snapshot() as connection:
            decide(RULES["RunService/List"], caller, await tasks.owner_of(connection, task_id))
            return await runs.list_runs(connection, task_id, offset=(page - 1) * limit, limit=limit)
