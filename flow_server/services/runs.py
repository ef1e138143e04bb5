"""Use cases of a task's history."""

from flow_contract import checks
from flow_contract.runs import Run
from flow_server.storage import runs, tasks
from flow_server.storage.database import Database


class RunService:
    """Reads runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, run_id: str) -> Run:
        """Return a run. Raises NotFound."""
        checks.text("run_id", run_id)
        async with self._database.snapshot() as connection:
            return await runs.get_run(connection, run_id)

    async def list(self, task_id: str, *, page: int, limit: int) -> tuple[list[Run], int]:
        """Return one page of a task's runs, newest first, and the number of all.

        Raises:
            NotFound: no such task.
        """
        checks.text("task_id", task_id)
        checks.page(page, limit)
        async with self._database.snapshot() as connection:
            await tasks.require_task(connection, task_id)
            return await runs.list_runs(connection, task_id, offset=(page - 1) * limit, limit=limit)
