"""Waiting for a task to change."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterator

from flow_contract.lifecycle import is_final_status
from flow_contract.tasks import Task
from flow_server.services.tasks import TaskService, status_conflict


class Watches:
    """Who waits for which task. Wake-ups come from the database, so any replica may serve."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    def wake(self, task_id: str) -> None:
        """Wake all who watch this task."""
        for event in self._waiting.get(task_id, ()):
            event.set()

    def wake_all(self) -> None:
        """Wake everybody: wake-ups may have been missed."""
        for events in self._waiting.values():
            for event in events:
                event.set()

    @contextlib.contextmanager
    def watching(self, task_id: str) -> Iterator[asyncio.Event]:
        """Give an event that is set at each change until the block ends."""
        event = asyncio.Event()
        self._waiting[task_id].add(event)
        try:
            yield event
        finally:
            self._waiting[task_id].discard(event)
            if not self._waiting[task_id]:
                del self._waiting[task_id]


class WaitService:
    """Follows one run of a task to its end."""

    def __init__(self, tasks: TaskService, watches: Watches) -> None:
        self._tasks = tasks
        self._watches = watches

    async def wait(self, task_id: str) -> AsyncGenerator[Task, None]:
        """Yield the task now and after each change, until the run that is newest now is final.

        A change may be skipped when a newer one is already known; the final one never is.

        Raises:
            NotFound: no such task, or it was deleted meanwhile.
            Conflict: it was never started.
        """
        with self._watches.watching(task_id) as changed:
            task = await self._tasks.get(task_id)
            if task.status is None:
                raise status_conflict("the task was never started", task_id)
            yield task
            run_id, seen = task.run_id, task
            while task.status is not None and not is_final_status(task.status):
                await changed.wait()
                changed.clear()
                task = await self._tasks.get(task_id, run_id=run_id)
                if task != seen:
                    yield task
                    seen = task
