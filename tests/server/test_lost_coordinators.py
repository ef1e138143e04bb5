"""A coordinator whose site is gone, or that failed in a way that may pass."""

import pytest

from flow_contract.coordination import RunRole
from flow_contract.lifecycle import PartyRunState
from flow_contract.reasons import Reason
from tests.server.coordinated import HUB, A, coordinated
from tests.server.flows import make_task
from tests.server.test_given_up import until_status

S = PartyRunState
SHORT = {"lost_after_s": 4, "sweep_s": 0.05, "return_grace_s": 0}
AT_ONCE = {"max_retries": 1, "backoff_s": 0}

pytestmark = pytest.mark.parametrize("server_options", [SHORT])


@pytest.fixture
async def lost(sdk, connect):
    run = await coordinated(sdk, connect)
    await run.launch()
    await run.coordinator.agent.cut()
    await until_status(sdk, run.task_id, "Unknown")
    return run


async def test_a_lost_coordinator_stops_nobody_and_comes_back_as_what_it_is(lost):
    assert (await lost.shown())[1]["coordinator"] == ("lost", "lease_expired")
    await lost.coordinator.agent.connect()
    await lost.coordinator.report(S.RUNNING)
    assert (await lost.shown())[0] == "Running"


async def test_a_coordinator_that_is_lost_is_stopped_when_it_is_back_after_the_parties(lost):
    for party in lost.parties:
        await party.finish()
    assert (await lost.shown())[0] == "Unknown"

    await lost.coordinator.agent.connect()
    await lost.coordinator.stop(Reason.PARTIES_ENDED)

    assert (await lost.ended())[0] == "Succeeded"


async def test_a_coordinator_that_vanished_with_its_site_ends_the_run(lost):
    await lost.coordinator.agent.connect()
    await lost.coordinator.report(S.FAILED, reason=Reason.WORKLOAD_VANISHED)
    for party in lost.parties:
        await party.stop(Reason.PEER_FAILED)
    status, message = await lost.ended()
    assert status == "Failed"
    assert message.startswith(f"coordinator at {HUB} failed: ")


async def test_who_left_first_is_named_while_the_others_still_end(sdk, connect):
    run = await coordinated(sdk, connect)
    await run.launch()
    await run.coordinator.report(S.STOPPED, reason=Reason.SITE_DISCONNECTED)
    blamed = f"coordinator at {HUB} stopped: The site lost the server"
    assert (await sdk.task.runs(run.task_id))["data"]["runs"][0]["message"].startswith(blamed)

    # It failed, but only because the other had gone.
    await run.parties[0].finish(exit_code=1)
    await run.parties[1].stop(Reason.PEER_FAILED)

    status, message = await run.ended()
    assert status == "Failed"
    assert message.startswith(blamed)


async def test_a_stop_names_a_lost_coordinator_and_by_force_goes_on_without_it(sdk, lost):
    answer = await sdk.task.stop(lost.task_id)
    assert answer["data"] == {"lost_parties": ["coordinator"]}
    await sdk.task.stop(lost.task_id, force=True)
    for party in lost.parties:
        await party.stop(Reason.STOPPED_BY_USER)
    status, message = await lost.ended()
    assert (status, message) == (
        "Cancelled",
        "Stopped on request; given up without an answer: coordinator.",
    )


async def test_a_site_that_held_both_is_lost_with_both(sdk, connect):
    run = await coordinated(sdk, connect, A)
    await run.launch()
    await run.parties[0].agent.cut()
    await until_status(sdk, run.task_id, "Unknown")
    _, shown = await run.shown()
    assert (shown["coordinator"], shown[A]) == (("lost", "lease_expired"),) * 2
    assert (await sdk.task.stop(run.task_id))["data"] == {"lost_parties": [A, "coordinator"]}


async def test_a_coordinator_without_a_connection_is_refused_at_the_start_deadline(sdk, connect):
    hub = await connect(HUB)
    await hub.cut()
    agent = await connect(A)
    task_id = await make_task(
        sdk,
        [A],
        coordinator={"command": ["serve"], "ports": [1], "party": HUB},
        start_deadline_s=1,
    )
    await sdk.task.start(task_id)
    await agent.stop(Reason.START_ROLLED_BACK)
    data = (await sdk.task.wait(task_id, timeout_s=60))["data"]
    assert (data["status"], data["coordinator"]["reason"]) == ("Failed", "party_offline")


async def test_a_run_that_is_started_again_has_its_coordinator_again(sdk, connect):
    run = await coordinated(sdk, connect, A, template={"retry": AT_ONCE})
    await run.launch()
    first = run.coordinator.item.spec
    await run.coordinator.report(S.FAILED, reason=Reason.RUNTIME_ERROR)
    for party in run.parties:
        await party.stop(Reason.PEER_FAILED)
    for member in run.members:
        member.forget()

    await run.launch()
    second = run.coordinator.item.spec
    assert second.run_id != first.run_id
    assert (second.rank, second.role, second.parties) == (2, RunRole.COORDINATOR, first.parties)
    for party in run.parties:
        await party.finish()
        assert len(party.item.spec.peers) == 1
    await run.coordinator.stop(Reason.PARTIES_ENDED)
    assert (await run.ended())[0] == "Succeeded"
    assert len((await sdk.task.runs(run.task_id))["data"]["runs"]) == 2


async def test_a_coordinator_whose_program_fails_is_not_started_again(sdk, connect):
    run = await coordinated(sdk, connect, template={"retry": AT_ONCE})
    await run.launch()
    await run.coordinator.finish(exit_code=1)
    for party in run.parties:
        await party.stop(Reason.PEER_FAILED)
    assert (await run.ended())[0] == "Failed"
    assert len((await sdk.task.runs(run.task_id))["data"]["runs"]) == 1
