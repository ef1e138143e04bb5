"""Owned concurrency: coroutines that run beside each other and end together."""

import asyncio
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

import structlog

T = TypeVar("T")

log = structlog.get_logger()


async def for_ever() -> NoReturn:
    """Wait until cancelled."""
    while True:
        await asyncio.Event().wait()


async def first_of(*coroutines: Coroutine[Any, Any, T]) -> T:
    """Run all, return or raise what the first to end did, and leave none running.

    Where several end at once, the one named first counts.
    """
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        winner = next(task for task in tasks if task.done())
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return winner.result()


class OwnedTasks:
    """Tasks that run until they end or `aclose` ends them; one that fails is logged."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def own(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run it."""
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._settle)

    async def aclose(self) -> None:
        """End them all. May be called twice."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _settle(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("agent_task_failed", exc_info=error)
