"""A stop and parties that are gone: it says whom it missed, and by force goes on without them."""

import asyncio

import pytest

from flow_contract.lifecycle import Desired, PartyRunState
from flow_contract.reasons import Reason
from tests.agent.fakes import until
from tests.memory_site import MemorySite
from tests.server.flows import make_task, party_status, status_of

S = PartyRunState
SHORT = {"lost_after_s": 4, "sweep_s": 0.05, "return_grace_s": 0}
GONE, THERE = "hospital-a", "hospital-b"

pytestmark = pytest.mark.parametrize("server_options", [SHORT])


async def until_status(sdk, task_id, status):
    reached = asyncio.Event()

    def look(data):
        if data["status"] == status:
            reached.set()

    waiting = asyncio.create_task(sdk.task.wait(task_id, timeout_s=60, on_change=look))
    await asyncio.wait_for(reached.wait(), 60)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


@pytest.fixture
async def lost_run(sdk, connect):
    """A task that runs at two parties, one of which is lost: (task, gone agent, agent there)."""
    agents = [await connect(party) for party in (GONE, THERE)]
    task_id = await make_task(sdk, [GONE, THERE], retry={"max_retries": 3, "backoff_s": 0})
    await sdk.task.start(task_id)
    for agent in agents:
        await agent.prepare()
    for agent in agents:
        await agent.launch()
    await agents[0].cut()
    await until_status(sdk, task_id, "Unknown")
    return task_id, *agents


async def stopped(agent):
    item = await agent.assigned(Desired.STOPPED)
    await agent.report(item.spec.party_run_id, S.STOPPED, reason=item.cause, exit_code=143)


async def test_a_stop_names_whom_it_did_not_reach_and_stays_pending(sdk, lost_run):
    task_id, _, there = lost_run
    answer = await sdk.task.stop(task_id, request_id="s1")
    assert (answer["ret_code"], answer["data"]) == (0, {"lost_parties": [GONE]})
    assert GONE in answer["ret_msg"]
    assert "force=True" in answer["ret_msg"]
    # A repeat is answered with what is true now.
    assert await sdk.task.stop(task_id, request_id="s1") == answer
    await stopped(there)

    assert await status_of(sdk, task_id) == "Unknown"
    assert (await party_status(sdk, task_id))[GONE] == ("lost", "lease_expired")
    assert (await sdk.task.delete(task_id))["ret_code"] == 10303


async def test_a_stop_that_reaches_everybody_has_nothing_to_say(sdk, connect):
    agent = await connect(GONE)
    task_id = await make_task(sdk, [GONE])
    await sdk.task.start(task_id)
    await agent.prepare()
    await agent.launch()
    # Nobody is lost: there is nobody to give up, and the stop is an ordinary one.
    assert await sdk.task.stop(task_id, force=True) == {"ret_code": 0, "ret_msg": "success"}
    await stopped(agent)
    assert await party_status(sdk, task_id) == {GONE: ("stopped", "stopped_by_user")}


@pytest.mark.parametrize("asked_before", [False, True])
async def test_by_force_the_run_ends_without_the_lost_party(sdk, lost_run, asked_before, engine):
    task_id, _, there = lost_run
    if asked_before:
        await sdk.task.stop(task_id)
    assert await sdk.task.stop(task_id, force=True) == {"ret_code": 0, "ret_msg": "success"}
    assert (await party_status(sdk, task_id))[GONE] == ("failed", "given_up")
    # The other one is there and has its time to end.
    assert await status_of(sdk, task_id) == "Running"
    await stopped(there)

    final = (await sdk.task.wait(task_id, timeout_s=60))["data"]
    assert final["status"] == "Cancelled"
    assert final["run_message"] == f"Stopped on request; given up without an answer: {GONE}."
    # It is not repeated: a user wanted it to end.
    runs = (await sdk.task.runs(task_id))["data"]["runs"]
    assert [(run["number"], run["retry_at"]) for run in runs] == [(1, None)]
    async with engine.begin() as connection:
        moves = await connection.exec_driver_sql(
            "SELECT from_value, to_value FROM events WHERE reason = 'given_up'"
        )
        assert [tuple(move) for move in moves] == [("lost", "failed")]


@pytest.mark.parametrize("after", ["start", "delete"])
async def test_the_task_is_free_again_at_once(sdk, lost_run, after):
    task_id, _, there = lost_run
    await stopped_by_force(sdk, task_id, there)
    assert (await getattr(sdk.task, after)(task_id))["ret_code"] == 0


async def stopped_by_force(sdk, task_id, there):
    await sdk.task.stop(task_id, force=True)
    await stopped(there)
    await sdk.task.wait(task_id, timeout_s=60)


async def test_a_given_up_party_that_is_back_is_not_asked_for_and_not_believed(
    sdk, lost_run, connect
):
    task_id, gone, there = lost_run
    (party_run_id,) = gone.assignments
    await stopped_by_force(sdk, task_id, there)

    back = await connect(GONE)
    # Its whole set is here, and what it still runs is not in it: that is how it is told to end it.
    assert back.complete_sets == 1
    assert back.assignments == {}
    back._sequences = gone._sequences
    for state in (S.RUNNING, S.SUCCEEDED):
        await back.report(party_run_id, state, exit_code=0, reason=Reason.COMPLETED)

    assert (await party_status(sdk, task_id))[GONE] == ("failed", "given_up")
    assert await status_of(sdk, task_id) == "Cancelled"


async def test_a_connection_that_nobody_gave_up_is_ended_with_its_party_run(
    sdk, lost_run, connect, engine
):
    """The agent is back just now and has not said where its run is: it has to begin anew."""
    task_id, _, there = lost_run
    back = await connect(GONE)
    assert back.assignments

    await sdk.task.stop(task_id, force=True)

    await asyncio.wait_for(back.ended(), 60)
    again = await connect(GONE)
    assert again.assignments == {}
    await stopped(there)


async def test_a_real_agent_that_is_back_stops_what_was_given_up_and_leaves_nothing(
    sdk, server, tmp_path
):
    site = await MemorySite(GONE, server.grpc_address, tmp_path).start()
    try:
        task_id = await make_task(sdk, [GONE], data="", command=["exit", "0", "on", "never"])
        await sdk.task.start(task_id)
        await until(lambda: site.state.starts)
        await site.kill()
        await until_status(sdk, task_id, "Unknown")
        await sdk.task.stop(task_id, force=True)
        assert await status_of(sdk, task_id) == "Cancelled"

        await site.start()
        await until(lambda: not site.state.workloads)

        await until(lambda: not site.agent.units.party_run_ids)
        assert await party_status(sdk, task_id) == {GONE: ("failed", "given_up")}
    finally:
        await site.kill()
