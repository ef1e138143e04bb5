"""The SDK's watches: of everything for ever, of a task until its run is over."""

import asyncio

import pytest

from flow_contract.errors import Conflict, InvalidArgument, NotFound
from flow_contract.lifecycle import PartyRunState
from flow_contract.reasons import Reason
from flow_server_sdk import FlowServerSdk
from tests.server.event_watch import rows_in_order
from tests.server.flows import make_task

ONE = ["hospital-a"]


async def all_of(watch):
    async with asyncio.timeout(60):
        return [event async for event in watch]


def statuses(events):
    return [event.to_value for event in events if event.side == "status"]


async def test_a_watch_of_a_task_ends_with_its_run(sdk, connect):
    agent = await connect("hospital-a")
    task_id = await make_task(sdk, ONE)
    await sdk.task.start(task_id)
    watching = asyncio.create_task(all_of(sdk.task.watch(task_id)))
    await agent.prepare()
    await agent.finish(await agent.launch())
    events = await watching
    assert statuses(events)[-1] == "Succeeded"
    assert len({event.run_id for event in events}) == 1
    # Also when it was over before anybody watched.
    assert await all_of(sdk.task.watch(task_id)) == events


@pytest.mark.parametrize("server_options", [{"sweep_s": 0.05}])
async def test_a_watch_of_a_task_goes_on_with_the_repeats_of_its_run(sdk, connect):
    agent = await connect("hospital-a")
    task_id = await make_task(sdk, ONE, retry={"max_retries": 1, "backoff_s": 0})
    await sdk.task.start(task_id)
    watching = asyncio.create_task(all_of(sdk.task.watch(task_id)))
    for _ in range(2):
        item = await agent.assigned()
        await agent.report(
            item.spec.party_run_id, PartyRunState.FAILED, reason=Reason.RUNTIME_ERROR
        )
        del agent.assignments[item.spec.party_run_id]
    events = await watching
    assert statuses(events).count("Failed") == 2
    assert len({event.run_id for event in events}) == 2


async def test_a_retry_that_is_called_off_ends_the_watch(sdk, connect):
    agent = await connect("hospital-a")
    task_id = await make_task(sdk, ONE, retry={"max_retries": 1, "backoff_s": 600})
    await sdk.task.start(task_id)
    watch = sdk.task.watch(task_id)
    item = await agent.assigned()
    await agent.report(item.spec.party_run_id, PartyRunState.FAILED, reason=Reason.RUNTIME_ERROR)
    async with asyncio.timeout(30):
        async for event in watch:
            if (event.side, event.to_value) == ("status", "Failed"):
                await sdk.task.stop(task_id)
    assert event.to_value == "called_off"


async def test_the_deletion_of_the_task_ends_the_watch(sdk, connect, engine):
    task_id = await make_task(sdk, ONE, retry={"max_retries": 1, "backoff_s": 600})
    agent = await connect("hospital-a")
    await sdk.task.start(task_id)
    item = await agent.assigned()
    await agent.report(item.spec.party_run_id, PartyRunState.FAILED, reason=Reason.RUNTIME_ERROR)
    watch = sdk.task.watch(task_id)
    await anext(watch)
    async with engine.begin() as connection:
        await connection.exec_driver_sql("DELETE FROM tasks")
    assert (await all_of(watch))[-1].to_value == "deleted"


async def test_what_cannot_be_watched_is_raised(sdk):
    with pytest.raises(NotFound):
        await all_of(sdk.task.watch("nothing"))
    with pytest.raises(Conflict, match="never started"):
        await all_of(sdk.task.watch(await make_task(sdk, ONE)))
    with pytest.raises(InvalidArgument, match="kinds"):
        sdk.event.watch(kinds="mood")
    with pytest.raises(InvalidArgument, match="begin anew"):
        await all_of(sdk.event.watch(token="hunter2"))


async def test_a_token_is_good_in_another_process_s_client(server, sdk, engine):
    for number in range(4):
        await make_task(sdk, ONE, name=f"task-{number}")
    watch = sdk.event.watch(from_beginning=True)
    first = [await anext(watch) for _ in range(2)]
    await watch.aclose()
    host, port = server.grpc_address.rsplit(":", 1)

    def rest():
        with FlowServerSdk(host, port) as blocking:
            events = blocking.event.watch(token=first[-1].token, kinds=["task"])
            return [next(events) for _ in range(2)]

    later = await asyncio.to_thread(rest)
    assert [event.event_id for event in [*first, *later]] == await rows_in_order(engine)


async def test_a_token_older_than_what_is_kept_says_to_begin_anew(sdk, engine):
    for number in range(4):
        await make_task(sdk, ONE, name=f"task-{number}")
    watch = sdk.event.watch(from_beginning=True)
    first = await anext(watch)
    await watch.aclose()
    async with engine.begin() as connection:
        await connection.exec_driver_sql(
            "UPDATE event_feed SET deleted_transaction_id = transaction_id,"
            " deleted_event_id = event_id"
            " FROM (SELECT * FROM feed_events ORDER BY event_id OFFSET 2 LIMIT 1) AS gone"
        )
    with pytest.raises(Conflict, match="begin anew"):
        await anext(sdk.event.watch(token=first.token))
    kept = await anext(sdk.event.watch(from_beginning=True))
    assert kept.event_id == (await rows_in_order(engine))[3]
