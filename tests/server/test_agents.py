"""Agents' connections: who may hold one, what a report counts for, what absence means."""

import asyncio
from datetime import UTC, datetime

import grpc
import pytest

from flow_contract.lifecycle import Desired, PartyRunState
from flow_contract.reasons import Reason
from flow_wire import agents_pb2
from tests.server.agent_client import ScriptedAgent
from tests.server.flows import make_task, party_status, status_of, until_absent

S = PartyRunState
SHORT = {"lost_after_s": 4, "sweep_s": 0.05, "return_grace_s": 0}


async def test_a_connected_party_is_listed_with_what_it_has(sdk, connect):
    agent = await connect("hospital-a", cpus=8, gpu_ids=("a", "b"), data_names=("ct",))
    listed = (await sdk.party.list())["data"]
    assert listed["party_count"] == 1
    party = listed["parties"][0]
    assert (party["federated_id"], party["connected"]) == ("hospital-a", True)
    assert (party["gpu_ids"], party["data_names"]) == (["a", "b"], ["ct"])

    await agent.cut()
    await until_absent(sdk, "hospital-a")


async def test_a_second_agent_of_one_party_is_refused_while_the_first_lives(server, connect):
    first = await connect("hospital-a")
    second = ScriptedAgent(server.grpc_address, "hospital-a", instance_id="another")
    try:
        with pytest.raises((AssertionError, grpc.aio.AioRpcError), match="another agent"):
            await second.connect()
    finally:
        await second._channel.close()
    assert first.complete_sets == 1


async def test_an_agent_replaces_its_own_half_dead_connection(server, connect):
    first = await connect("hospital-a")
    second = await connect("hospital-a")

    assert second.epoch == first.epoch + 1
    assert await first.ended() is grpc.StatusCode.ABORTED


async def test_a_report_over_an_old_connection_counts_for_nothing(sdk, server, connect, engine):
    agent = await connect("hospital-a")
    task_id = await make_task(sdk, ["hospital-a"])
    await sdk.task.start(task_id)
    item = await agent.assigned()
    async with engine.begin() as connection:
        # As if another replica had taken the party over.
        await connection.exec_driver_sql("UPDATE parties SET epoch = epoch + 1")

    await agent.report(item.spec.party_run_id, S.PREPARING, wait=False)

    assert await agent.ended() is grpc.StatusCode.ABORTED
    assert (await party_status(sdk, task_id))["hospital-a"] == ("pending", "none")


async def test_an_agent_speaks_only_for_itself(sdk, connect):
    victim, attacker = await connect("hospital-a"), await connect("hospital-b")
    task_id = await make_task(sdk, ["hospital-a"])
    await sdk.task.start(task_id)
    item = await victim.assigned()

    await attacker.report(item.spec.party_run_id, S.FAILED, reason=Reason.EXIT_NONZERO)

    assert (await party_status(sdk, task_id))["hospital-a"] == ("pending", "none")


async def test_late_and_repeated_reports_change_nothing_and_are_acknowledged(sdk, connect, engine):
    agent = await connect("hospital-a")
    task_id = await make_task(sdk, ["hospital-a"])
    await sdk.task.start(task_id)
    item = await agent.prepare()
    await agent.launch()
    party_run_id = item.spec.party_run_id

    for state in (S.PREPARING, S.PREPARED, S.LAUNCHING):
        await agent.report(party_run_id, state)
    await agent.report(party_run_id, S.RUNNING, sequence=3)

    assert (await party_status(sdk, task_id))["hospital-a"][0] == "running"
    async with engine.begin() as connection:
        moves = await connection.exec_driver_sql(
            "SELECT to_value FROM events WHERE side = 'state' ORDER BY event_id"
        )
        assert list(moves.scalars()) == ["pending", "preparing", "prepared", "running"]


async def test_states_may_be_skipped_but_the_end_is_the_true_one(sdk, connect):
    agent = await connect("hospital-a")
    task_id = await make_task(sdk, ["hospital-a"])
    await sdk.task.start(task_id)
    item = await agent.assigned()
    await agent.report(item.spec.party_run_id, S.PREPARED)
    await agent.assigned(Desired.RUNNING)
    await agent.report(
        item.spec.party_run_id,
        S.SUCCEEDED,
        reason=Reason.COMPLETED,
        exit_code=0,
        finished_at=datetime.now(UTC),
    )
    assert await status_of(sdk, task_id) == "Succeeded"


async def test_a_poisonous_report_is_made_harmless_and_spoils_no_other(sdk, connect):
    agents = [await connect("hospital-a"), await connect("hospital-b")]
    task_id = await make_task(sdk, ["hospital-a", "hospital-b"])
    await sdk.task.start(task_id)
    poisoned, good = [await agent.assigned() for agent in agents]
    await asyncio.gather(
        agents[0].report(
            poisoned.spec.party_run_id,
            S.PREPARING,
            message="\0" + "x" * 100_000,
            exit_code=3,
            gpu_ids=("\0",) * 2000,
        ),
        agents[1].report(good.spec.party_run_id, S.PREPARING),
    )
    states = await party_status(sdk, task_id)
    assert {state for state, _ in states.values()} == {"preparing"}


async def test_a_report_that_cannot_be_read_is_acknowledged_and_ignored(connect):
    agent = await connect("hospital-a")
    report = agents_pb2.Report(party_run_id="e" * 32, sequence=1, state=5)
    report.finished_at.seconds = 2**60
    nonsense = agents_pb2.Report(party_run_id="\0", sequence=1, state=5)
    unknown = agents_pb2.Report(party_run_id="d" * 32, sequence=1, state=99)
    for wire in (report, nonsense, unknown):
        await agent._call.write(agents_pb2.AgentMessage(reports=agents_pb2.Reports(reports=[wire])))
        await agent.until(lambda key=(wire.party_run_id, 1): key in agent.acknowledged)


@pytest.mark.parametrize("odd", [{"cpus": float("nan")}, {"cpus": -1}, {"memory_bytes": -1}])
async def test_an_inventory_that_cannot_be_true_is_refused(connect, odd):
    with pytest.raises((AssertionError, grpc.aio.AioRpcError), match="inventory"):
        await connect("hospital-a", **odd)


async def test_reports_on_runs_that_are_gone_are_acknowledged(connect):
    agent = await connect("hospital-a")
    await agent.report("f" * 32, S.FAILED, reason=Reason.RUNTIME_ERROR)
    assert ("f" * 32, 1) in agent.acknowledged


async def test_a_reconnecting_agent_receives_all_that_is_wanted_of_it(sdk, connect):
    agent = await connect("hospital-a")
    task_id = await make_task(sdk, ["hospital-a"])
    await sdk.task.start(task_id)
    item = await agent.prepare()
    await agent.cut()

    again = await connect("hospital-a")
    assert again.assignments[item.spec.party_run_id].desired is Desired.RUNNING


@pytest.mark.parametrize("server_options", [SHORT])
async def test_a_party_offline_past_the_deadline_refuses_the_start_for_all(sdk, connect):
    online, offline = await connect("hospital-a"), await connect("hospital-b")
    await offline.cut()
    task_id = await make_task(sdk, ["hospital-a", "hospital-b"], start_deadline_s=1)
    await sdk.task.start(task_id)
    await online.prepare()
    stopped = await online.assigned(Desired.STOPPED)
    await online.report(stopped.spec.party_run_id, S.STOPPED, reason=stopped.cause)

    final = await sdk.task.wait(task_id, timeout_s=60)

    assert final["data"]["status"] == "Failed"
    assert await party_status(sdk, task_id) == {
        "hospital-a": ("stopped", "start_rolled_back"),
        "hospital-b": ("refused", "party_offline"),
    }


@pytest.mark.parametrize("server_options", [SHORT])
async def test_a_party_that_connects_before_the_deadline_takes_part(sdk, connect):
    online, late = await connect("hospital-a"), await connect("hospital-b")
    await late.cut()
    await until_absent(sdk, "hospital-b")
    task_id = await make_task(sdk, ["hospital-a", "hospital-b"], start_deadline_s=600)
    await sdk.task.start(task_id)
    assert await status_of(sdk, task_id) == "Pending"
    assert (await party_status(sdk, task_id))["hospital-b"][1] == "waiting_for_connection"

    await online.prepare()
    late = await connect("hospital-b")
    await late.prepare()

    await online.launch()
    await late.launch()
    assert await status_of(sdk, task_id) == "Running"


@pytest.mark.parametrize("server_options", [SHORT])
async def test_a_silent_party_is_lost_the_task_unknown_and_the_truth_wins_later(sdk, connect):
    agent = await connect("hospital-a")
    task_id = await make_task(sdk, ["hospital-a"])
    await sdk.task.start(task_id)
    item = await agent.prepare()
    await agent.launch()
    await agent.cut()
    lost = asyncio.Event()
    waiting = asyncio.create_task(
        sdk.task.wait(
            task_id,
            timeout_s=60,
            on_change=lambda data: data["status"] == "Unknown" and lost.set(),
        )
    )
    await asyncio.wait_for(lost.wait(), 60)
    assert (await party_status(sdk, task_id))["hospital-a"] == ("lost", "lease_expired")

    back = await connect("hospital-a")
    back._sequences = agent._sequences
    await back.finish(item)

    assert (await waiting)["data"]["status"] == "Succeeded"


@pytest.mark.parametrize("server_options", [SHORT])
async def test_a_stop_before_the_launch_needs_no_answer_from_an_absent_party(sdk, connect):
    agent = await connect("hospital-a")
    await agent.cut()
    task_id = await make_task(sdk, ["hospital-a"], start_deadline_s=600)
    await sdk.task.start(task_id)
    await sdk.task.stop(task_id)

    final = await sdk.task.wait(task_id, timeout_s=60)
    assert final["data"]["status"] == "Cancelled"


@pytest.mark.parametrize("server_options", [SHORT])
async def test_a_start_that_is_not_ready_in_time_is_released_everywhere(sdk, connect):
    fast, slow = await connect("hospital-a"), await connect("hospital-b")
    task_id = await make_task(sdk, ["hospital-a", "hospital-b"], prepare_deadline_s=1)
    await sdk.task.start(task_id)
    await fast.prepare()
    for agent in (fast, slow):
        item = await agent.assigned(Desired.STOPPED)
        assert item.cause is Reason.START_TIMED_OUT
        await agent.report(item.spec.party_run_id, S.STOPPED, reason=item.cause)
    assert (await sdk.task.wait(task_id, timeout_s=60))["data"]["status"] == "Failed"


async def test_a_set_larger_than_a_message_reaches_its_agent(sdk, connect, engine):
    await (await connect("hospital-a")).cut()
    task_id = await make_task(sdk, ["hospital-a"])
    await sdk.task.start(task_id, hyper_parameter=["x" * 60_000])
    async with engine.begin() as connection:
        # 400 like it make 24 MB; starting them one by one would take long.
        await connection.exec_driver_sql(
            "INSERT INTO tasks (task_id, name, name_key, template_id, federate_data)"
            " SELECT task_id || n, name || n, name || n, template_id, federate_data"
            " FROM tasks, generate_series(1, 400) n"
        )
        await connection.exec_driver_sql(
            "INSERT INTO runs (run_id, task_id, number, snapshot, status, desired,"
            "                  connect_deadline_at, prepare_deadline_at)"
            " SELECT run_id || n, task_id || n, 1, snapshot, status, desired,"
            "        connect_deadline_at, prepare_deadline_at FROM runs, generate_series(1, 400) n"
        )
        await connection.exec_driver_sql(
            "INSERT INTO party_runs (party_run_id, run_id, federated_id, rank, federated_data,"
            "                        desired, state)"
            " SELECT party_run_id || n, run_id || n, federated_id, rank, federated_data, desired,"
            "        state FROM party_runs, generate_series(1, 400) n"
        )
    agent = await connect("hospital-a")
    assert agent.complete_sets == 1
    assert len(agent.assignments) == 401
