"""Replicas share nothing but the database: whichever one asks, whichever one dies."""

import asyncio

import grpc
import pytest

from flow_contract.lifecycle import Desired, PartyRunState
from flow_contract.reasons import Reason
from tests.agent.fakes import until
from tests.server.agent_client import ScriptedAgent
from tests.server.flows import make_task, party_status, status_of, until_absent

WAIT_S = 90
ONE = ["hospital-a"]


async def test_start_on_one_run_by_another_watched_on_a_third(make_replicas, client_of, make_site):
    asked, serves, tells = await make_replicas(3)
    sites = [await make_site(party, serves) for party in ("hospital-a", "hospital-b")]
    asking, watching = await client_of(asked), await client_of(tells)
    task_id = await make_task(
        asking, ["hospital-a", "hospital-b"], data="", command=["exit", "0", "on", "x"]
    )
    assert (await asking.task.start(task_id))["ret_code"] == 0
    running = asyncio.Event()
    waiting = asyncio.create_task(
        watching.task.wait(
            task_id,
            timeout_s=WAIT_S,
            on_change=lambda data: data["status"] == "Running" and running.set(),
        )
    )
    await asyncio.wait_for(running.wait(), WAIT_S)
    for site in sites:
        site.state.fire("x")
    assert (await waiting)["data"]["status"] == "Succeeded"

    await asking.task.start(task_id)
    await until(lambda: all(sum(site.state.starts.values()) == 2 for site in sites))
    assert (await watching.task.stop(task_id))["ret_code"] in {0, 10303}


async def running_through(balance, make_replicas, client_of, make_site, **settings):
    """One run at a site that is connected to the first of two replicas, through a balancer."""
    first, second = await make_replicas(2, **settings)
    balancer = await balance(first)
    site = await make_site("hospital-a", balancer)
    sdk = await client_of(balancer)
    task_id = await make_task(sdk, ONE, data="", command=["exit", "0", "on", "trained"])
    await sdk.task.start(task_id)
    await until(lambda: site.state.starts)
    seen = []
    heard = asyncio.Event()

    def hear(data):
        seen.append(data["status"])
        heard.set()

    waiting = asyncio.create_task(sdk.task.wait(task_id, timeout_s=WAIT_S, on_change=hear))
    await asyncio.wait_for(heard.wait(), WAIT_S)
    balancer.backends = [first.address, second.address]
    return first, second, site, waiting, seen


async def until_moved(engine):
    """Return once the party has a second connection; nothing tells of it."""
    async with asyncio.timeout(WAIT_S):
        while True:
            async with engine.begin() as connection:
                found = await connection.exec_driver_sql("SELECT epoch FROM parties")
                if found.scalar_one() > 1:
                    return
            await asyncio.sleep(0.02)


async def test_the_agents_of_a_killed_replica_are_served_by_another(
    balance, make_replicas, client_of, make_site, engine
):
    first, second, site, waiting, seen = await running_through(
        balance, make_replicas, client_of, make_site
    )
    await asyncio.to_thread(first.kill)
    sdk = await client_of(second)
    await until_moved(engine)
    assert (await sdk.party.get("hospital-a"))["data"]["connected"]
    site.state.fire("trained")
    # The client's wait was cut off with the replica, and goes on with the other.
    assert (await waiting)["data"]["status"] == "Succeeded"
    assert not {"Unknown", "Failed"} & set(seen)
    assert list(site.state.starts.values()) == [1]


async def test_a_replica_that_is_told_to_end_sends_its_agents_away_at_once(
    balance, make_replicas, client_of, make_site, engine
):
    # It would give calls an hour to end by themselves, which these never do.
    first, second, site, waiting, seen = await running_through(
        balance, make_replicas, client_of, make_site, shutdown_grace_s=3600
    )
    first.ask()
    assert await asyncio.to_thread(first.ended) == 0
    await until_moved(engine)
    assert (await (await client_of(second)).party.get("hospital-a"))["data"]["connected"]
    site.state.fire("trained")
    assert (await waiting)["data"]["status"] == "Succeeded"
    assert not {"Unknown", "Failed"} & set(seen)


async def test_what_a_dead_replica_held_is_lost_in_time(make_replicas, client_of):
    dies, lives = await make_replicas(2, lost_after_s=4, sweep_s=0.1, return_grace_s=0)
    sdk = await client_of(lives)
    agent = ScriptedAgent(dies.address, "hospital-a")
    await agent.connect()
    task_id = await make_task(sdk, ONE)
    await sdk.task.start(task_id)
    await agent.prepare()
    await agent.launch()
    lost = asyncio.Event()
    waiting = asyncio.create_task(
        sdk.task.wait(task_id, on_change=lambda data: data["status"] == "Unknown" and lost.set())
    )
    await asyncio.to_thread(dies.kill)
    await asyncio.wait_for(lost.wait(), WAIT_S)
    waiting.cancel()
    assert (await party_status(sdk, task_id))["hospital-a"] == ("lost", "lease_expired")
    await until_absent(sdk, "hospital-a")
    await agent.cut()


async def test_the_same_agent_may_move_at_once_and_the_old_connection_is_nobody_s(
    make_replicas, client_of
):
    left, taken = await make_replicas(2, lost_after_s=6)
    sdk = await client_of(taken)
    before = ScriptedAgent(left.address, "hospital-a")
    after = ScriptedAgent(taken.address, "hospital-a")
    await before.connect()
    # As a site that came by another way does, while the old one is not known to be dead.
    await after.connect()
    assert after.epoch == before.epoch + 1
    task_id = await make_task(sdk, ONE)
    await sdk.task.start(task_id)
    item = await after.assigned()

    assert await before.ended() is grpc.StatusCode.ABORTED
    assert item.spec.party_run_id not in before.assignments
    await after.report(item.spec.party_run_id, PartyRunState.PREPARED)
    await after.assigned(Desired.RUNNING)
    for agent in (before, after):
        await agent.cut()


async def test_another_agent_of_a_party_is_refused_on_every_replica(make_replicas):
    one, other = await make_replicas(2)
    first = ScriptedAgent(one.address, "hospital-a")
    second = ScriptedAgent(other.address, "hospital-a", instance_id="another")
    await first.connect()
    with pytest.raises((AssertionError, grpc.aio.AioRpcError), match="another agent"):
        await second.connect()
    await second._channel.close()
    await first.cut()


async def test_many_replicas_repeat_each_failed_run_once(make_replicas, client_of):
    replicas = await make_replicas(3, sweep_s=0.02)
    sdk = await client_of(replicas[0])
    agent = ScriptedAgent(replicas[1].address, "hospital-a")
    await agent.connect()
    tasks = [
        await make_task(sdk, ONE, name=f"task-{number}", retry={"max_retries": 1, "backoff_s": 0})
        for number in range(20)
    ]
    for task_id in tasks:
        await sdk.task.start(task_id)
    for _ in range(2 * len(tasks)):
        item = await agent.assigned()
        await agent.report(
            item.spec.party_run_id, PartyRunState.FAILED, reason=Reason.RUNTIME_ERROR
        )
        del agent.assignments[item.spec.party_run_id]
    for task_id in tasks:
        runs = (await sdk.task.runs(task_id))["data"]["runs"]
        assert [run["number"] for run in runs] == [2, 1]
        assert await status_of(sdk, task_id) == "Failed"
    await agent.cut()
