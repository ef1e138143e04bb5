"""A run with a coordinator: where it runs, what the members are told, and whose end is whose."""

import pytest

from flow_contract.coordination import RunRole
from flow_contract.lifecycle import Desired, PartyRunState
from flow_contract.reasons import Reason
from flow_server.storage.assignments import AssignmentReader
from flow_server.storage.database import Database
from tests.server.coordinated import HUB, PORTS, A, B, coordinated, coordinator
from tests.server.flows import make_task, make_template

S = PartyRunState


@pytest.mark.parametrize(
    ("place", "coordinates"),
    [(HUB, False), (A, False), (HUB, True)],
    ids=["at a third party", "at one of the parties", "at an agent that coordinates"],
)
async def test_nobody_is_launched_before_the_coordinator_has_prepared_wherever_it_is(
    sdk, connect, place, coordinates
):
    run = await coordinated(sdk, connect, place, coordinates=coordinates)
    for party in run.parties:
        await party.prepare()
    assert {
        item.desired for member in run.members for item in member.agent.assignments.values()
    } == {Desired.PREPARED}

    await run.coordinator.prepare()
    for member in run.members:
        await member.launch()

    status, shown = await run.shown()
    assert status == "Running"
    assert shown == dict.fromkeys((A, B, "coordinator"), ("running", "none"))
    hub = run.coordinator.item.spec
    assert (hub.federated_id, hub.role, hub.rank) == (place, RunRole.COORDINATOR, 2)
    assert (hub.command, hub.parties, hub.federated_data) == (("serve",), (A, B), "")
    assert [(peer.name, peer.rank) for peer in hub.peers] == [(f"party-{A}", 0), (f"party-{B}", 1)]
    for rank, party in enumerate(run.parties):
        spec = party.item.spec
        assert (spec.role, spec.rank, spec.command) == (RunRole.PARTY, rank, ("run",))
        assert [(peer.name, peer.federated_id) for peer in spec.peers] == [("coordinator", place)]
        assert spec.peers[0].party_run_id == hub.party_run_id
        assert spec.coordinator_ports == tuple(PORTS)


@pytest.mark.parametrize("mesh", [[], [29500]])
async def test_a_replica_that_did_not_store_the_run_tells_its_members_the_same(
    sdk, connect, engine, mesh
):
    run = await coordinated(sdk, connect, A, template={"mesh": mesh})
    await run.prepare()
    told = {
        key: item.spec for member in run.members for key, item in member.agent.assignments.items()
    }
    assert len(told) == 3

    async with Database(engine).glance() as connection:
        read = await AssignmentReader().of_parties(connection, [A, B])

    assert {item.spec.party_run_id: item.spec for item in read.assignments} == told


async def test_a_coordinator_that_never_exits_is_stopped_when_the_parties_have_ended(sdk, connect):
    run = await coordinated(sdk, connect)
    await run.launch()
    await run.parties[0].finish()
    assert (await run.shown())[0] == "Running"
    await run.parties[1].finish()

    await run.coordinator.stop(Reason.PARTIES_ENDED)

    assert await run.ended() == ("Succeeded", "")
    assert (await run.shown())[1] == {
        A: ("succeeded", "completed"),
        B: ("succeeded", "completed"),
        "coordinator": ("stopped", "parties_ended"),
    }


@pytest.mark.parametrize("ends", ["after_parties", "by_itself"])
async def test_a_coordinator_that_fails_early_ends_the_run_and_is_named(sdk, connect, ends):
    run = await coordinated(sdk, connect, ends=ends)
    await run.launch()
    await run.coordinator.finish(exit_code=7)

    # What they report first: their connections broke when it went.
    await run.parties[0].finish(exit_code=1)
    await run.parties[1].stop(Reason.PEER_FAILED)

    status, message = await run.ended()
    assert status == "Failed"
    assert message.startswith(f"coordinator at {HUB} failed: ")
    assert (await run.shown())[1]["coordinator"] == ("failed", "exit_nonzero")


@pytest.mark.parametrize("ends", ["after_parties", "by_itself"])
async def test_a_party_that_fails_stops_those_that_could_have_waited_for_it_for_ever(
    sdk, connect, ends
):
    run = await coordinated(sdk, connect, ends=ends)
    await run.launch()
    await run.parties[1].finish(exit_code=7)

    await run.parties[0].stop(Reason.PEER_FAILED)
    await run.coordinator.stop(Reason.PEER_FAILED)

    status, message = await run.ended()
    assert status == "Failed"
    assert message.startswith(f"{B} failed: ")


async def test_a_party_that_never_reached_the_coordinator_says_so(sdk, connect):
    run = await coordinated(sdk, connect)
    await run.prepare()
    await run.coordinator.launch()
    await run.parties[0].report(S.PREPARED, reason=Reason.WAITING_FOR_COORDINATOR)
    status, shown = await run.shown()
    assert (status, shown[A]) == ("Pending", ("prepared", "waiting_for_coordinator"))

    await run.parties[0].report(S.FAILED, reason=Reason.COORDINATOR_UNREACHABLE)
    await run.parties[1].stop(Reason.PEER_FAILED)
    await run.coordinator.stop(Reason.PEER_FAILED)

    status, message = await run.ended()
    assert status == "Failed"
    assert message.startswith(f"{A} failed: The run's coordinator did not listen")


async def test_a_coordinator_that_ends_by_itself_is_waited_for(sdk, connect):
    run = await coordinated(sdk, connect, ends="by_itself")
    await run.launch()
    for party in run.parties:
        await party.finish()
    assert (await run.shown())[0] == "Running"
    assert run.coordinator.item.desired is Desired.RUNNING

    await run.coordinator.finish()
    assert (await run.ended())[0] == "Succeeded"


@pytest.mark.parametrize(("exit_code", "status"), [(0, "Succeeded"), (7, "Failed")])
async def test_the_end_of_a_coordinator_that_decides_is_the_run_s(sdk, connect, exit_code, status):
    run = await coordinated(sdk, connect, ends="by_itself", decides=True)
    await run.launch()
    await run.parties[0].finish(exit_code=1)
    assert (await run.shown())[0] == "Running"

    await run.coordinator.finish(exit_code)
    await run.parties[1].stop(Reason.COORDINATOR_ENDED)

    ended, message = await run.ended()
    assert ended == status
    assert message.startswith("" if exit_code == 0 else f"coordinator at {HUB} failed: ")


async def test_a_start_that_the_coordinator_can_not_make_is_rolled_back_everywhere(sdk, connect):
    run = await coordinated(sdk, connect, A)
    for party in run.parties:
        await party.prepare()
    run.coordinator.item = await run.coordinator.agent.assigned(role=RunRole.COORDINATOR)
    await run.coordinator.report(S.REFUSED, reason=Reason.POLICY_DENIED)

    for party in run.parties:
        await party.stop(Reason.START_ROLLED_BACK)

    status, message = await run.ended()
    assert status == "Failed"
    assert message.startswith(f"coordinator at {A} refused: ")


async def test_a_stop_reaches_the_coordinator_as_well(sdk, connect):
    run = await coordinated(sdk, connect, A)
    await run.launch()
    await sdk.task.stop(run.task_id)
    for member in run.members:
        await member.stop(Reason.STOPPED_BY_USER)
    assert (await run.ended())[0] == "Cancelled"


async def test_members_of_a_mesh_are_told_of_one_another_and_fail_together(sdk, connect):
    agents = [await connect(name) for name in (A, B)]
    task_id = await make_task(sdk, [A, B], mesh=[29500, "30000-30010"])
    await sdk.task.start(task_id)
    items = [await agent.prepare() for agent in agents]
    assert [[peer.name for peer in item.spec.peers] for item in items] == [
        [f"party-{B}"],
        [f"party-{A}"],
    ]
    items = [await agent.launch() for agent in agents]
    await agents[0].finish(items[0], exit_code=7)
    await agents[1].stop(Reason.PEER_FAILED)
    ended = (await sdk.task.wait(task_id, timeout_s=60))["data"]
    assert (ended["status"], ended["run_message"][:18]) == ("Failed", f"{A} failed:"[:18])


@pytest.mark.parametrize(
    ("place", "reason"),
    [("", "no_coordinating_agent"), ("nobody", "party_unknown")],
)
async def test_a_start_without_a_place_for_the_coordinator_is_refused_and_kept(
    sdk, connect, place, reason
):
    for name in (A, B):
        await connect(name)
    task_id = await make_task(sdk, [A, B], coordinator=coordinator(place))

    answer = await sdk.task.start(task_id, request_id="once")

    assert answer["ret_code"] == 10304
    assert "coordinator" in answer["ret_msg"]
    data = (await sdk.task.get(task_id))["data"]
    assert (data["status"], data["coordinator"]["reason"]) == ("Failed", reason)
    assert {entry["reason"] for entry in data["party_status"]} == {"start_rolled_back"}
    assert (await sdk.task.start(task_id, request_id="once"))["ret_code"] == 10304
    assert len((await sdk.task.runs(task_id))["data"]["runs"]) == 1


async def test_more_members_than_a_mesh_can_have_are_refused_with_what_to_do(sdk):
    template_id = await make_template(sdk, mesh=[29500])
    task_id = (
        await sdk.task.create(
            name="crowd",
            template_id=template_id,
            remark="",
            federate_data=[
                {"federated_id": f"site-{number}", "federated_data": "d"} for number in range(257)
            ],
        )
    )["data"]["task_id"]
    answer = await sdk.task.start(task_id)
    assert answer["ret_code"] == 10303
    assert "fewer parties" in answer["ret_msg"]
    assert (await sdk.task.get(task_id))["data"]["status"] is None
