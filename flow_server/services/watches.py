"""Waiting for a task to change."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

from flow_contract import checks
from flow_contract.access import Caller
from flow_contract.errors import Kind, Unavailable
from flow_contract.lifecycle import is_final_status
from flow_contract.tasks import Task
from flow_server.services.tasks import TaskService, status_conflict

# Half of the time that a party costs to be read and sent.
_PAUSE_PER_PARTY_S = 20e-6

# How long a wait goes on without asking whether its proof is still good: a wake-up may be lost,
# and a token expires without one.
PROOF_ASKED_S = 60.0


class Watches:
    """Who waits for which id's news. Wake-ups come from the database, so any replica may serve."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._of: dict[asyncio.Event, Caller] = {}
        self._is_open = True

    def wake(self, key: str) -> None:
        """Wake all who watch this id."""
        for event in self._waiting.get(key, ()):
            event.set()

    def wake_caller(self, subject: str) -> None:
        """Wake who waits by "token:<id>" or as "user:<name>": may it still?"""
        kind, _, name = subject.partition(":")
        for event, caller in self._of.items():
            if name == {"token": caller.credential, "user": caller.name}.get(kind):
                event.set()

    def wake_all(self) -> None:
        """Wake everybody: wake-ups may have been missed."""
        for events in self._waiting.values():
            for event in events:
                event.set()

    def close(self) -> None:
        """End every watch, now and later: the server is leaving."""
        self._is_open = False
        self.wake_all()

    def require_open(self) -> None:
        """Raise Unavailable once closed."""
        if not self._is_open:
            raise Unavailable("the server is shutting down; ask again", kind=Kind.SERVER)

    @contextlib.contextmanager
    def watching(
        self, key: str, caller: Caller, event: asyncio.Event | None = None
    ) -> Iterator[asyncio.Event]:
        """Give an event, the given one or a new one, that is set at each change in the block."""
        self.require_open()
        event = event or asyncio.Event()
        self._waiting[key].add(event)
        self._of[event] = caller
        try:
            yield event
        finally:
            del self._of[event]
            self._waiting[key].discard(event)
            if not self._waiting[key]:
                del self._waiting[key]


class WaitService:
    """Follows one run of a task to its end."""

    def __init__(
        self, tasks: TaskService, watches: Watches, *, proof_asked_s: float = PROOF_ASKED_S
    ) -> None:
        self._tasks = tasks
        self._watches = watches
        self._proof_asked_s = proof_asked_s

    async def wait(
        self,
        task_id: str,
        *,
        run_id: str = "",
        caller: Caller,
        again: Callable[[], Awaitable[Caller]],
    ) -> AsyncGenerator[Task, None]:
        """Yield the task now and after each change, until its run is final and not repeated.

        `again` says who the caller is by now, and raises if its proof is no longer good: asked
        before each change is told, when the proof is said to have changed, and now and then.

        The run is `run_id`, "" for the one that is newest now, and then each repeat of it in
        turn. A change may be skipped when a newer one is already known; the final one never is.

        Raises:
            NotFound: no such task or run, or it was deleted meanwhile.
            Conflict: it was never started.
            Unavailable: this replica is leaving; another one can tell.
            Forbidden: the task is another user's.
            Unauthenticated: the caller's proof is no longer good.
        """
        checks.text("task_id", task_id)
        checks.text("run_id", run_id)
        with self._watches.watching(task_id, caller) as changed:
            task = await self._first(task_id, run_id, caller)
            yield task
            while not _is_over(task):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._proof_asked_s):
                        await changed.wait()
                # Reading thousands of parties takes long, and at a start each of them reports:
                # what comes meanwhile is read together.
                await asyncio.sleep(len(task.party_runs or ()) * _PAUSE_PER_PARTY_S)
                changed.clear()
                self._watches.require_open()
                caller = await again()
                seen = task
                task = await self._tasks.follow(
                    task_id,
                    task.run_id or run_id,
                    parties=len(seen.party_runs or ()),
                    caller=caller,
                )
                if task != seen:
                    yield task

    async def _first(self, task_id: str, run_id: str, caller: Caller) -> Task:
        if run_id:
            return await self._tasks.follow(task_id, run_id, caller=caller)
        task = await self._tasks.get(task_id, caller=caller)
        if task.status is None:
            raise status_conflict("the task was never started", task_id)
        return task


def _is_over(task: Task) -> bool:
    return task.status is not None and is_final_status(task.status)
