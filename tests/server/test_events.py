"""A watch tells every event once, in order, over late commits, retention, and to the right ones."""

import asyncio

import grpc
import pytest

from tests.server.event_watch import RawWatch, rows_in_order, told
from tests.server.flows import make_task

ONE = ["hospital-a"]


@pytest.fixture
async def watch(server):
    opened = []

    async def watch(**request):
        made = RawWatch(server.grpc_address, **request)
        opened.append(made)
        await made.read()
        return made

    yield watch
    for made in opened:
        await made.close()


def run_ended(events):
    return any(e.kind == 2 and e.to_value in {"Succeeded", "Failed", "Cancelled"} for e in events)


async def run_once(sdk, connect, name="task-1", exit_code=0, **fields):
    agent = await connect("hospital-a")
    task_id = await make_task(sdk, ONE, name=name, **fields)
    assert (await sdk.task.start(task_id))["ret_code"] == 0
    await agent.prepare()
    await agent.finish(await agent.launch(), exit_code)
    return task_id


async def test_a_watch_tells_a_run_from_the_task_to_its_end(sdk, connect, watch, engine):
    watching = await watch()
    task_id = await run_once(sdk, connect)
    events = await watching.until(run_ended)
    assert [event.event_id for event in events] == (await rows_in_order(engine))[: len(events)]
    of_run = [event for event in events if event.kind == 2]
    statuses = [e.to_value for e in of_run if e.side == "status"]
    assert statuses == ["Started", "Pending", "Running", "Succeeded"]
    assert {event.task_id for event in of_run} == {task_id}
    shares = [event for event in events if event.kind == 3]
    assert {event.federated_id for event in shares} == {"hospital-a"}
    assert ("connection", "", "connected") in told(events)
    assert ("existence", "", "created") in told(events)


async def test_each_token_goes_on_after_its_event(sdk, connect, watch):
    await run_once(sdk, connect)
    whole = await (await watch(from_beginning=True)).until(run_ended)
    for place, event in enumerate(whole[:-1]):
        rest = await (await watch(token=event.token)).until(run_ended)
        assert [e.event_id for e in rest] == [e.event_id for e in whole[place + 1 :]]


async def test_a_filter_leaves_what_fits_it_from_the_rows_and_live(sdk, connect, watch):
    live = await watch(kinds=["EVENT_KIND_RUN"])
    task_id = await run_once(sdk, connect)
    run_id = (await sdk.task.runs(task_id))["data"]["runs"][0]["run_id"]
    events = await live.until(run_ended)
    assert {event.kind for event in events} == {2}
    later = await (await watch(from_beginning=True, kinds=["EVENT_KIND_RUN"])).until(run_ended)
    assert later == events
    since = await (await watch(since_run_id=run_id, task_ids=[task_id])).until(run_ended)
    assert {event.run_id for event in since} == {run_id}
    assert len(since) > len(events)
    by_party = await watch(from_beginning=True, federated_ids=["hospital-a"])
    found = await by_party.until(lambda seen: any(e.to_value == "succeeded" for e in seen))
    assert {event.kind for event in found} == {3, 4}


async def test_events_of_a_deleted_task_are_still_told_and_say_whose_they_were(sdk, connect, watch):
    task_id = await run_once(sdk, connect)
    before = await (await watch(from_beginning=True)).until(run_ended)
    assert (await sdk.task.delete(task_id))["ret_code"] == 0
    watching = await watch(from_beginning=True, task_ids=[task_id])
    after = await watching.until(lambda seen: ("existence", "created", "deleted") in told(seen))
    ids = {event.event_id for event in after}
    assert {e.event_id for e in before if e.task_id == task_id} < ids
    assert {e.federated_id for e in after if e.kind == 3} == {"hospital-a"}


async def test_parties_tell_of_connection_draining_and_resuming(sdk, connect, watch):
    watching = await watch(kinds=["EVENT_KIND_PARTY"])
    agent = await connect("hospital-a")
    await sdk.party.drain("hospital-a")
    await sdk.party.resume("hospital-a")
    await agent.cut()
    events = await watching.until(lambda seen: len(seen) >= 4)
    assert told(events) == [
        ("connection", "", "connected"),
        ("work", "accepting", "draining"),
        ("work", "draining", "accepting"),
        ("connection", "connected", "disconnected"),
    ]


async def test_who_commits_late_is_not_jumped_over(sdk, watch, engine):
    watching = await watch()
    insert = (
        "INSERT INTO feed_events (federated_id, side, to_value) VALUES ('{}', 'work', 'draining')"
        " RETURNING event_id"
    )
    async with engine.connect() as early, engine.connect() as late:
        # The earlier transaction writes first, and commits last.
        first = (await early.exec_driver_sql(insert.format("early"))).scalar_one()
        second = (await late.exec_driver_sql(insert.format("late"))).scalar_one()
        await late.commit()
        await make_task(sdk, ONE)
        reading = asyncio.create_task(watching.until(lambda seen: len(seen) >= 3))
        # Somebody who begins now is not shown the later one either.
        other = await watch(from_beginning=True)
        done, _ = await asyncio.wait({reading}, timeout=0.5)
        assert not done
        assert other.events == []
        await early.commit()
    events = await reading
    assert [event.event_id for event in events][:2] == [first, second]
    assert [event.event_id for event in events] == await rows_in_order(engine)


async def test_what_was_rolled_back_is_never_told(sdk, watch, engine):
    watching = await watch()
    async with engine.connect() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO feed_events (federated_id, side, to_value)"
            " VALUES ('x', 'work', 'draining')"
        )
        await connection.rollback()
    await make_task(sdk, ONE)
    assert told(await watching.until(bool)) == [("existence", "", "created")]


@pytest.mark.parametrize(
    ("request_fields", "code", "words"),
    [
        ({"token": "hunter2"}, grpc.StatusCode.INVALID_ARGUMENT, "begin anew"),
        ({"token": "A" * 28}, grpc.StatusCode.INVALID_ARGUMENT, "begin anew"),
        ({"token": "é" * 20}, grpc.StatusCode.INVALID_ARGUMENT, "begin anew"),
        ({"token": "A" * 4000}, grpc.StatusCode.INVALID_ARGUMENT, "token"),
        ({"token": "x", "from_beginning": True}, grpc.StatusCode.INVALID_ARGUMENT, "one of"),
        ({"since_run_id": "nothing"}, grpc.StatusCode.NOT_FOUND, "run"),
        ({"task_ids": ["x"] * 1001}, grpc.StatusCode.OK, ""),
        ({"task_ids": [str(n) for n in range(1001)]}, grpc.StatusCode.INVALID_ARGUMENT, "task_ids"),
    ],
)
async def test_what_cannot_be_watched_is_said(server, request_fields, code, words):
    watching = RawWatch(server.grpc_address, **request_fields)
    try:
        if code is grpc.StatusCode.OK:
            await watching.read()
            return
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await watching.read()
        assert caught.value.code() is code
        assert words in caught.value.details()
    finally:
        await watching.close()


async def test_a_token_of_what_has_not_happened_is_refused(server, watch, engine):
    from flow_server.domain.events import Position, token_of  # noqa: PLC0415 - only here

    async with engine.connect() as connection:
        found = await connection.exec_driver_sql("SELECT feed_id FROM event_feed")
        token = token_of(found.scalar_one(), Position(transaction_id=2**64 - 1))
    with pytest.raises(grpc.aio.AioRpcError, match="not happened yet"):
        await watch(token=token)


@pytest.mark.parametrize("server_options", [{"event_watches": 2}])
async def test_there_are_not_more_watches_than_the_setting_says(watch, server_options):
    first = await watch()
    await watch()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await watch()
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    first.call.cancel()
    async with asyncio.timeout(30):
        while True:
            try:
                await watch()
            except grpc.aio.AioRpcError:
                # The server hears of the end a moment later; nothing tells of it.
                await asyncio.sleep(0.02)
            else:
                return
