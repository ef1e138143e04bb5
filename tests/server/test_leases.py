"""Leases: who counts as connected, also when the database was away at the wrong moment."""

import asyncio

import pytest

from flow_contract.errors import StaleLease
from flow_contract.lifecycle import Desired, PartyRunState
from flow_server.app import FlowServer
from flow_server.hub.registry import Registry
from flow_server.hub.sessions import Session
from tests.server.agent_client import ScriptedAgent
from tests.server.flows import make_task, status_of

SHORT = {"lost_after_s": 4, "sweep_s": 0.05}


async def until(condition, timeout_s=60):
    """Ask until it holds: of what time does to rows nothing tells a client."""
    async with asyncio.timeout(timeout_s):
        while not await condition():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("server_options", [SHORT])
async def test_a_party_whose_leaving_could_not_be_written_down_is_absent_all_the_same(
    sdk, connect, engine
):
    agent = await connect("hospital-a")
    async with engine.begin() as connection:
        owner = (await connection.exec_driver_sql("SELECT owner_id FROM parties")).scalar_one()
    await agent.cut()

    async def is_absent():
        return not (await sdk.party.get("hospital-a"))["data"]["connected"]

    await until(is_absent)
    async with engine.begin() as connection:
        # As if the database had not answered when the connection ended.
        await connection.exec_driver_sql(
            "UPDATE parties SET owner_id = $1, lease_expires_at = now() + interval '2 s'", (owner,)
        )
    await until(is_absent)


async def test_an_older_connection_that_is_greeted_late_does_not_end_the_newer_one():
    registry = Registry()
    older = Session(federated_id="hospital-a", epoch=1)
    newer = Session(federated_id="hospital-a", epoch=2)
    registry.add(newer)
    registry.add(older)

    assert registry.get("hospital-a") is newer
    with pytest.raises(StaleLease, match="newer connection"):
        await older.next()
    registry.remove(older)
    assert registry.get("hospital-a") is newer


@pytest.mark.parametrize("server_options", [{**SHORT, "lost_after_s": 6}])
async def test_agents_get_time_to_come_back_to_a_server_that_was_away(
    sdk, connect, database_url, server_options, server
):
    agent = await connect("hospital-a")
    task_id = await make_task(sdk, ["hospital-a"], start_deadline_s=1)
    await sdk.task.start(task_id)
    item = await agent.assigned()
    await agent.report(item.spec.party_run_id, PartyRunState.PREPARING)
    # It was connected when its server went, which is what gives it time.
    await server.aclose()
    await agent.cut()
    # Longer than the lease and the start's deadline: as time passes, nothing to wait for.
    await asyncio.sleep(3.5)

    again = FlowServer(server._settings)
    await again.start()
    back = ScriptedAgent(again.grpc_address, "hospital-a")
    try:
        # The first sweep would have come by now.
        await asyncio.sleep(0.5)
        await back.connect()
        assert item.spec.party_run_id in back.assignments
        back._sequences = agent._sequences
        await back.report(item.spec.party_run_id, PartyRunState.PREPARED)
        await back.assigned(Desired.RUNNING)
    finally:
        await back.cut()
        await again.aclose()


async def test_an_agent_that_lost_its_journal_counts_from_one_and_is_heard(sdk, server, connect):
    agent = await connect("hospital-a")
    task_id = await make_task(sdk, ["hospital-a"])
    await sdk.task.start(task_id)
    await agent.prepare()
    item = await agent.launch()
    await agent.cut()

    async def is_gone():
        return not (await sdk.party.get("hospital-a"))["data"]["connected"]

    await until(is_gone)
    fresh = ScriptedAgent(server.grpc_address, "hospital-a", instance_id="made anew")
    await fresh.connect()
    try:
        await fresh.finish(item, exit_code=7)
        assert await status_of(sdk, task_id) == "Failed"
    finally:
        await fresh.cut()
