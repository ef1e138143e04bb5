"""Keeping the history bounded: old runs are deleted, with their party runs, events and blobs."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from flow_server.domain.log_keys import folder_of_logs
from flow_server.domain.output_keys import folder_of_blob, folder_of_outputs
from flow_server.storage import logs, outputs, retention
from flow_server.storage.blobs import Blobs
from flow_server.storage.database import Connection, Database

# A run may have thousands of party runs: few at a time keep each transaction short.
_BATCH = 20
_RUBBISH_BATCH = 500


class RetentionService:
    """Deletes what is older than `age`, or has `runs_per_task` newer runs; 0 switches either off.

    Any replica may, at any time.
    """

    def __init__(
        self, database: Database, blobs: Blobs, *, age: timedelta, runs_per_task: int
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._age = age
        self._runs_per_task = runs_per_task

    async def sweep(self) -> int:
        """Delete all that is due, in short transactions; return how many runs that were."""
        deleted = 0
        if self._age:
            deleted += await self._all(
                lambda connection: retention.delete_older(connection, age=self._age, limit=_BATCH)
            )
        if self._runs_per_task:
            deleted += await self._all(
                lambda connection: retention.delete_more(
                    connection, kept=self._runs_per_task, limit=_BATCH
                )
            )
        await self.delete_blobs()
        await self.delete_rubbish()
        return deleted

    async def delete_blobs(self) -> None:
        """Delete the blobs of runs that are gone, whoever deleted them.

        Raises:
            Unavailable: some are left for the next time.
        """
        while True:
            async with self._database.glance() as connection:
                run_ids = await logs.deleted_runs(connection, most=_BATCH)
            for run_id in run_ids:
                await self._blobs.delete_under(folder_of_logs(run_id))
                await self._blobs.delete_under(folder_of_outputs(run_id))
                async with self._database.transaction() as connection:
                    await logs.forget_run(connection, run_id)
            if len(run_ids) < _BATCH:
                return

    async def delete_rubbish(self) -> None:
        """Delete the blobs of outputs that others took the place of, or that were given up.

        Raises:
            Unavailable: some are left for the next time.
        """
        while True:
            async with self._database.glance() as connection:
                found = await outputs.rubbish(connection, most=_RUBBISH_BATCH)
            for where in found:
                await self._blobs.delete_under(folder_of_blob(*where))
            if found:
                async with self._database.transaction() as connection:
                    await outputs.forget_rubbish(connection, [blob for _, _, blob in found])
            if len(found) < _RUBBISH_BATCH:
                return

    async def _all(self, delete: Callable[[Connection], Awaitable[int]]) -> int:
        total = 0
        while True:
            async with self._database.transaction() as connection:
                deleted = await delete(connection)
            total += deleted
            if deleted < _BATCH:
                return total
