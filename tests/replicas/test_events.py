"""A watch outlives its server and moves between replicas: no event missing, none twice."""

import asyncio

from tests.server.agent_client import ScriptedAgent
from tests.server.event_watch import rows_in_order
from tests.server.flows import make_task

WAIT_S = 90
RUNS = 6


async def collect(watch, seen):
    async for event in watch:
        seen.append(event)


async def until(seen, condition):
    async with asyncio.timeout(WAIT_S):
        # The watch is the thing under test: nothing else tells when it has seen something.
        while not condition(seen):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def ended(number):
    return lambda seen: sum(event.to_value == "Succeeded" for event in seen) >= number


async def run_once(sdk, agent, name):
    task_id = await make_task(sdk, ["hospital-a"], name=name)
    await sdk.task.start(task_id)
    await agent.prepare()
    await agent.finish(await agent.launch())
    agent.assignments.clear()


async def test_a_watch_over_kills_of_its_server_sees_exactly_the_rows_in_order(
    balance, make_replicas, client_of, engine
):
    left, right = await make_replicas(2)
    balancer = await balance(left)
    watching, asking = await client_of(balancer), await client_of(right)
    seen = []
    collecting = asyncio.create_task(collect(watching.event.watch(from_beginning=True), seen))
    agent = ScriptedAgent(right.address, "hospital-a")
    await agent.connect()
    for number in range(RUNS):
        await run_once(asking, agent, f"task-{number}")
        await until(seen, lambda events: len(events) > 0)
        # In turn: to the other replica, and to the same one started anew.
        balancer.backends = [right.address] if number % 2 else [left.address]
        await asyncio.to_thread(left.kill)
        await asyncio.to_thread(left.start)
    await until(seen, ended(RUNS))
    collecting.cancel()
    await agent.cut()
    await asyncio.gather(collecting, return_exceptions=True)
    rows = await rows_in_order(engine)
    assert [event.event_id for event in seen] == rows[: len(seen)]


async def test_what_happens_at_one_replica_is_told_at_every_other(make_replicas, client_of, engine):
    replicas = await make_replicas(2)
    clients = [await client_of(replica) for replica in replicas]
    watches = [client.event.watch(from_beginning=True) for client in clients]
    seen = [[], []]
    collecting = [
        asyncio.create_task(collect(watch, events))
        for watch, events in zip(watches, seen, strict=True)
    ]
    agents = [ScriptedAgent(r.address, "hospital-a") for r in replicas[:1]]
    await agents[0].connect()
    for number in range(3):
        await run_once(clients[number % 2], agents[0], f"task-{number}")
    for events in seen:
        await until(events, ended(3))
    for task in collecting:
        task.cancel()
    await asyncio.gather(*collecting, return_exceptions=True)
    await agents[0].cut()
    shorter = min(len(events) for events in seen)
    rows = await rows_in_order(engine)
    for events in seen:
        assert [event.event_id for event in events][:shorter] == rows[:shorter]
