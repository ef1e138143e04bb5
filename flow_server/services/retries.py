"""Starting failed runs again when their time has come; any replica may, at any time."""

from flow_server.domain.start import plan_run
from flow_server.services.new_runs import new_run, presence_of
from flow_server.storage import new_runs, retries, runs, tasks
from flow_server.storage.database import Database
from flow_server.storage.retries import Due

_AT_ONCE = 100


class RetryService:
    """Makes the repeats that `services.transitions` has ordered, each one once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def sweep(self) -> int:
        """Repeat what is due now, each run in a transaction of its own; return how many."""
        async with self._database.transaction() as connection:
            due = await retries.due(connection, limit=_AT_ONCE)
        made = 0
        for run in due:
            made += await self._repeat(run)
        return made

    async def _repeat(self, due: Due) -> bool:
        async with self._database.transaction() as connection:
            task = await tasks.lock_task_if_free(connection, due.task_id)
            if task is None:
                # Another replica repeats it, or a user starts, stops or deletes the task.
                return False
            locked = await runs.lock_runs(connection, [due.run_id])
            if not locked or not locked[0].retry_due:
                return False
            if task.run_id != due.run_id:
                # Started anew by a replica of a version that knows no retries.
                await retries.call_off(connection, due.run_id, "A new start took its place.")
                return False
            original = await retries.original_of(connection, due.run_id)
            named = {party.federated_id for party in original.parties}
            present = await presence_of(connection, named, [original.snapshot.template])
            plan = plan_run(original.parties, original.snapshot, present)
            await retries.mark_repeated(connection, due.run_id)
            repeat = new_run(
                task, plan, requested_by=original.requested_by, repeats=original.repeats
            )
            await new_runs.insert_runs(connection, [repeat])
            return True
