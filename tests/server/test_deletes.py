"""Deleting a task while others look at it or report on its old runs."""

import asyncio

from tests.server.flows import make_task
from tests.server.test_reports import until_blocked


async def old_run_that_sorts_first(sdk, task_id):
    """Start what is refused at once until the newest run's id is not the smallest."""
    while True:
        await sdk.task.start(task_id)
        runs = [run["run_id"] for run in (await sdk.task.runs(task_id))["data"]["runs"]]
        if runs[0] != min(runs):
            return min(runs), runs[0]


async def test_a_delete_takes_its_runs_in_the_order_in_which_reports_do(sdk, connect, engine):
    await connect("hospital-a")
    task_id = await make_task(sdk, ["hospital-a", "nobody"])
    old, newest = await old_run_that_sorts_first(sdk, task_id)
    lock = "SELECT FROM runs WHERE run_id = $1 FOR UPDATE"
    async with engine.begin() as connection:
        # As a batch of late reports on both runs does.
        await connection.exec_driver_sql(lock, (old,))
        deleting = asyncio.create_task(sdk.task.delete(task_id))
        await until_blocked(engine)
        await connection.exec_driver_sql(lock, (newest,))
    assert (await deleting)["ret_code"] == 0


async def test_a_task_that_is_deleted_while_it_is_read_is_read_as_it_was(sdk, connect, engine):
    await connect("hospital-a")
    task_id = await make_task(sdk, ["hospital-a", "nobody"])
    await sdk.task.start(task_id)
    async with engine.begin() as connection:
        await connection.exec_driver_sql("LOCK TABLE party_runs")
        reading = asyncio.create_task(sdk.task.get(task_id))
        await until_blocked(engine)
        await connection.exec_driver_sql("DELETE FROM tasks")
    answer = await reading
    assert len(answer["data"]["party_status"]) == 2
