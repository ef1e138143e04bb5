"""Work of one key is done in turn, and to its end also if its caller is gone: no engine needed."""

import asyncio
import gc
from typing import Any

import pytest

from party_agent.runtime.docker_engine.keyed import KeyedWork
from party_agent.runtime.port import RuntimeUnavailable


async def test_work_of_one_key_is_done_in_turn_and_of_others_at_once() -> None:
    work = KeyedWork()
    free = asyncio.Event()
    began: list[str] = []

    async def held(name: str) -> None:
        began.append(name)
        await free.wait()

    async with asyncio.TaskGroup() as group:
        for key, name in (("a", "a1"), ("a", "a2"), ("b", "b1")):
            group.create_task(work.run(key, lambda name=name: held(name)))
        while len(began) < 2:  # noqa: ASYNC110 - only the loop has to turn
            await asyncio.sleep(0)
        assert began == ["a1", "b1"]
        free.set()
    assert began == ["a1", "b1", "a2"]
    assert work._locks == {}


async def test_cancelled_work_goes_on_and_the_next_of_its_key_waits_for_it() -> None:
    work = KeyedWork()
    began, free = asyncio.Event(), asyncio.Event()
    done: list[str] = []

    async def first() -> None:
        began.set()
        await free.wait()
        done.append("first")

    async def second() -> None:
        done.append("second")

    async with asyncio.TaskGroup() as group:
        caller = group.create_task(work.run("a", first))
        await began.wait()
        caller.cancel()
        after = group.create_task(work.run("a", second))
        settled = group.create_task(work.settled("a"))
        await asyncio.wait([caller])
        assert (caller.cancelled(), done) == (True, [])
        free.set()
        await asyncio.wait([after, settled])
    assert done == ["first", "second"]
    await work.aclose()


@pytest.mark.parametrize(
    ("error", "is_told"), [(RuntimeUnavailable("away"), 0), (KeyError("x"), 1)]
)
async def test_cancelled_work_that_fails_then_is_a_defect_only_if_nobody_thought_of_it(
    error: Exception, is_told: int
) -> None:
    work = KeyedWork()
    began, free = asyncio.Event(), asyncio.Event()
    defects: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, defect: defects.append(defect))

    async def fails() -> None:
        began.set()
        await free.wait()
        raise error

    caller = asyncio.create_task(work.run("a", fails))
    await began.wait()
    caller.cancel()
    await asyncio.wait([caller])
    free.set()
    await work.aclose()
    # At the latest when the last who knows of it lets go.
    del caller
    await asyncio.sleep(0)
    gc.collect()
    assert len(defects) == is_told
