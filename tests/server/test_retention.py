"""Old runs go, with all that is theirs; what anyone may still need stays."""

import asyncio
from datetime import timedelta

import pytest

from flow_contract.lifecycle import PartyRunState
from flow_contract.reasons import Reason
from tests.server.flows import make_task, until_absent

S = PartyRunState
ONE = ["hospital-a"]
MONTH = timedelta(days=30)


async def run_once(sdk, agent, task_id):
    await sdk.task.start(task_id)
    await agent.prepare()
    await agent.finish(await agent.launch())
    agent.assignments.clear()


@pytest.fixture
async def history(sdk, connect):
    """Two tasks: one with 5 ended runs, one with 2."""
    agent = await connect("hospital-a")
    tasks = [await make_task(sdk, ONE, name=name) for name in ("often", "seldom")]
    for task_id, times in zip(tasks, (5, 2), strict=True):
        for _ in range(times):
            await run_once(sdk, agent, task_id)
    return tasks


async def numbers(sdk, task_id):
    return [run["number"] for run in (await sdk.task.runs(task_id))["data"]["runs"]]


async def age(engine, task_id, numbers_):
    async with engine.begin() as connection:
        await connection.exec_driver_sql(
            "UPDATE runs SET ended_at = ended_at - interval '31 days'"
            " WHERE task_id = $1 AND number = ANY($2)",
            (task_id, numbers_),
        )


async def test_runs_beyond_the_number_of_their_task_go_oldest_first(sdk, history, engine, keeping):
    often, seldom = history
    assert await keeping(runs_per_task=3).sweep() == 2
    assert await numbers(sdk, often) == [5, 4, 3]
    assert await numbers(sdk, seldom) == [2, 1]
    assert await keeping(runs_per_task=3).sweep() == 0


async def test_runs_beyond_an_age_go_but_never_the_newest_of_a_task(sdk, history, engine, keeping):
    often, seldom = history
    await age(engine, often, [1, 3])
    await age(engine, seldom, [1, 2])
    assert await keeping(age=MONTH).sweep() == 3
    assert await numbers(sdk, often) == [5, 4, 2]
    assert await numbers(sdk, seldom) == [2]


async def test_party_runs_and_events_go_with_their_run_and_no_others(sdk, history, engine, keeping):
    async def left():
        async with engine.begin() as connection:
            rows = await connection.exec_driver_sql(
                "SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM party_runs),"
                " (SELECT count(*) FROM events WHERE run_id NOT IN (SELECT run_id FROM runs)),"
                " (SELECT count(DISTINCT run_id) FROM events)"
            )
            return tuple(rows.one())

    assert await left() == (7, 7, 0, 7)
    await keeping(runs_per_task=1).sweep()
    assert await left() == (2, 2, 0, 2)


async def test_zero_keeps_everything_for_ever(sdk, history, engine, keeping):
    often, _ = history
    await age(engine, often, [1, 2, 3, 4, 5])
    assert await keeping().sweep() == 0
    assert len(await numbers(sdk, often)) == 5


async def test_what_is_active_or_to_be_repeated_stays(sdk, connect, engine, keeping):
    agent = await connect("hospital-a")
    active = await make_task(sdk, ONE, name="active")
    await sdk.task.start(active)
    await agent.prepare()
    await agent.launch()
    agent.assignments.clear()
    due = await make_task(sdk, ONE, name="due", retry={"max_retries": 1, "backoff_s": 3600})
    await sdk.task.start(due)
    item = await agent.assigned()
    await agent.report(item.spec.party_run_id, S.FAILED, reason=Reason.RUNTIME_ERROR)
    async with engine.begin() as connection:
        # As if neither were its task's newest, to try this rule alone.
        await connection.exec_driver_sql("UPDATE tasks SET latest_run_id = NULL, run_count = 50")
        await connection.exec_driver_sql("UPDATE runs SET ended_at = ended_at - interval '31 days'")
    assert await keeping(age=MONTH, runs_per_task=1).sweep() == 0
    assert await numbers(sdk, active) == await numbers(sdk, due) == [1]


async def test_what_is_being_repeated_stays_for_those_who_wait_for_it(
    sdk, connect, engine, keeping
):
    agent = await connect("hospital-a")
    task_id = await make_task(sdk, ONE, retry={"max_retries": 1, "backoff_s": 0})
    await sdk.task.start(task_id)
    first = await agent.assigned()
    await agent.report(first.spec.party_run_id, S.FAILED, reason=Reason.RUNTIME_ERROR)
    del agent.assignments[first.spec.party_run_id]
    await agent.prepare()
    await age(engine, task_id, [1])

    assert await keeping(age=MONTH, runs_per_task=1).sweep() == 0
    assert await numbers(sdk, task_id) == [2, 1]
    await agent.finish(await agent.launch())
    assert await keeping(age=MONTH, runs_per_task=1).sweep() == 1
    assert await numbers(sdk, task_id) == [2]


async def test_more_than_one_batch_is_deleted_in_one_sweep(sdk, connect, engine, keeping):
    agent = await connect("hospital-a")
    task_id = await make_task(sdk, ONE)
    await agent.cut()
    await until_absent(sdk, "hospital-a")
    await sdk.task.start(task_id)
    async with engine.begin() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO runs (run_id, task_id, number, snapshot, status, desired,"
            "                  connect_deadline_at, prepare_deadline_at, ended_at)"
            " SELECT 'old-' || n, $1, n + 1, snapshot, 'Failed', 'stopped', now(), now(), now()"
            " FROM runs, generate_series(1, 50) n",
            (task_id,),
        )
        await connection.exec_driver_sql("UPDATE tasks SET run_count = 51")
    assert await keeping(runs_per_task=6).sweep() == 44
    assert await keeping(runs_per_task=6).sweep() == 0


@pytest.mark.parametrize(
    "server_options", [{"retention_runs_per_task": 2, "retention_sweep_s": 0.05}]
)
async def test_the_server_deletes_by_itself(sdk, connect):
    agent = await connect("hospital-a")
    task_id = await make_task(sdk, ONE)
    for _ in range(4):
        await run_once(sdk, agent, task_id)
    while await numbers(sdk, task_id) != [4, 3]:
        pass
    async with asyncio.timeout(60):
        # Nothing tells of what is deleted.
        while await numbers(sdk, task_id) != [4, 3]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
