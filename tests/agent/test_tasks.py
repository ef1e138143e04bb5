import asyncio

import pytest

from party_agent.tasks import first_of


async def never(cancelled):
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        cancelled.append(True)
        raise


async def answer(value):
    return value


async def fail():
    raise KeyError("first")


async def test_the_first_result_counts_and_the_others_are_cancelled():
    cancelled = []
    assert await first_of(never(cancelled), answer(1)) == 1
    assert cancelled == [True]


async def test_of_two_that_end_at_once_the_one_named_first_counts():
    assert await first_of(answer(1), answer(2)) == 1


async def test_a_failure_ends_all():
    cancelled = []
    with pytest.raises(KeyError):
        await first_of(never(cancelled), fail())
    assert cancelled == [True]


async def test_cancelling_cancels_all():
    cancelled = []
    task = asyncio.create_task(first_of(never(cancelled), never(cancelled)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cancelled == [True, True]
