"""Several replicas, one of them killed: each end is told to each webhook, with one id."""

import asyncio
import json

import pytest

from tests.server.agent_client import ScriptedAgent
from tests.server.flows import make_task
from tests.server.receivers import Receiving

ONE = ["hospital-a"]
ALLOWED = '["127.0.0.1"]'


@pytest.fixture
def receive(tmp_path):
    made = []

    def receive(*modes):
        made.append(Receiving(tmp_path, *modes))
        return made[-1]

    yield receive
    for each in made:
        each.end()


async def run_once(sdk, agent, name):
    task_id = await make_task(sdk, ONE, name=name)
    await sdk.task.start(task_id)
    await agent.prepare()
    await agent.finish(await agent.launch())
    agent.assignments.clear()


async def is_delivered(sdk, webhook_id):
    found = (await sdk.webhook.deliveries(webhook_id))["data"]["deliveries"]
    return found[0]["delivered_at"]


async def test_replicas_deliver_each_end_once(make_replicas, client_of, receive, engine):
    replicas = await make_replicas(3, webhook_allowed=ALLOWED)
    sdk = await client_of(replicas[0])
    receiver = receive("200")
    await sdk.webhook.create(await receiver.url())
    agent = ScriptedAgent(replicas[1].address, "hospital-a")
    await agent.connect()
    for number in range(6):
        await run_once(sdk, agent, f"task-{number}")
    told = await receiver.received(6)
    await agent.cut()
    assert len({each["headers"]["fedflow-delivery"] for each in told}) == 6
    assert len({json.loads(each["body"])["run_id"] for each in told}) == 6
    async with engine.connect() as connection:
        found = await connection.exec_driver_sql("SELECT attempts FROM webhook_deliveries")
        assert list(found.scalars()) == [1] * 6


async def test_a_server_that_is_killed_before_it_wrote_down_a_delivery_makes_it_again(
    make_replicas, client_of, receive, engine
):
    (server,) = await make_replicas(1, webhook_allowed=ALLOWED)
    sdk = await client_of(server)
    # The receiver has it, and the server waits for the answer that it will not live to see.
    receiver = receive("hang", "200")
    webhook_id = (await sdk.webhook.create(await receiver.url()))["data"]["webhook_id"]
    agent = ScriptedAgent(server.address, "hospital-a")
    await agent.connect()
    await run_once(sdk, agent, "task-1")
    await receiver.received(1)
    await asyncio.to_thread(server.kill)
    await agent.cut()
    async with engine.begin() as connection:
        # The claim runs out after a minute; nobody has to wait for it here.
        await connection.exec_driver_sql("UPDATE webhook_deliveries SET next_at = now()")
    await asyncio.to_thread(server.start)
    first, second = await receiver.received(2)
    assert first["headers"]["fedflow-delivery"] == second["headers"]["fedflow-delivery"]
    assert first["body"] == second["body"]
    async with asyncio.timeout(30):
        # The receiver was answered; that it was is written down a moment later.
        while not await is_delivered(sdk, webhook_id):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
