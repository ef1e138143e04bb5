"""Keeping events bounded: the oldest are deleted by age, whatever has become of their runs."""

from datetime import timedelta

from flow_server.storage import events
from flow_server.storage.database import Database

_BATCH = 10_000


class EventRetentionService:
    """Deletes what is older than `age`; 0 keeps it for ever. Any replica may, at any time."""

    def __init__(self, database: Database, *, age: timedelta, batch: int = _BATCH) -> None:
        self._database = database
        self._age = age
        self._batch = batch

    async def sweep(self) -> int:
        """Delete all that is due, in short transactions; return how many events that were."""
        total = 0
        while self._age:
            deleted = await self._database.repeatable(
                lambda connection: events.delete_older(connection, age=self._age, limit=self._batch)
            )
            total += deleted
            if deleted < self._batch:
                break
        return total
