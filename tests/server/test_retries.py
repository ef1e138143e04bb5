"""Runs that failed are started again: when, how often, and what users see meanwhile."""

import asyncio
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest

from flow_contract.lifecycle import Desired, PartyRunState
from flow_contract.reasons import Reason
from tests.server.flows import make_task, party_status, status_of

S = PartyRunState
WAIT_S = 60
ONE = ["hospital-a"]
AT_ONCE = {"max_retries": 2, "backoff_s": 0}
LATER = {"max_retries": 2, "backoff_s": 3600}


@pytest.fixture
def server_options():
    return {"sweep_s": 0.05}


async def runs_of(sdk, task_id):
    """All runs of the task, oldest first."""
    return list(reversed((await sdk.task.runs(task_id))["data"]["runs"]))


async def fail(agent, reason=Reason.RUNTIME_ERROR, state=S.FAILED, **fields):
    """Take the newest assignment and end it badly; return it."""
    item = await agent.assigned()
    await agent.report(item.spec.party_run_id, state, reason=reason, **fields)
    del agent.assignments[item.spec.party_run_id]
    return item


async def start_and_fail(sdk, agent, retry, **more):
    task_id = await make_task(sdk, ONE, retry=retry)
    assert (await sdk.task.start(task_id))["ret_code"] == 0
    await fail(agent, **more)
    return task_id


async def test_a_run_that_failed_through_the_infrastructure_is_a_new_run_soon(sdk, connect):
    agent = await connect("hospital-a")
    task_id = await make_task(sdk, ONE, retry=AT_ONCE, hyper_parameter=["a=1"])
    await sdk.task.start(task_id, epochs=4, hyper_parameter=["b=2"])
    first = await fail(agent)
    second = await agent.prepare()
    await agent.finish(await agent.launch())

    runs = await runs_of(sdk, task_id)
    assert [run["status"] for run in runs] == ["Failed", "Succeeded"]
    assert [run["number"] for run in runs] == [1, 2]
    assert [run["retry_of"] for run in runs] == [None, runs[0]["run_id"]]
    assert [run["retry_at"] for run in runs] == [None, None]
    assert runs[1]["epochs"] == 4
    assert runs[1]["hyper_parameter"] == ["b=2"]
    assert second.spec.federated_data == first.spec.federated_data == "d"
    assert await status_of(sdk, task_id) == "Succeeded"


async def test_the_repeat_has_the_snapshot_whatever_became_of_template_and_task(sdk, connect):
    agent = await connect("hospital-a")
    task_id = await make_task(sdk, ONE, retry={"max_retries": 1, "backoff_s": 1})
    await sdk.task.start(task_id)
    first = await agent.assigned()
    template_id = (await sdk.task.get(task_id))["data"]["template_id"]
    await sdk.template.delete(template_id)
    await sdk.task.update(task_id, "other", "", None, [{"federated_id": "nobody"}])
    await fail(agent)
    second = await agent.assigned()
    assert second.spec.image_url == first.spec.image_url
    assert second.spec.parties == ("hospital-a",)


async def test_no_more_repeats_are_made_than_the_template_allows(sdk, connect):
    agent = await connect("hospital-a")
    task_id = await start_and_fail(sdk, agent, AT_ONCE)
    await fail(agent)
    await fail(agent)
    final = await sdk.task.wait(task_id, timeout_s=WAIT_S)
    assert final["data"]["status"] == "Failed"
    runs = await runs_of(sdk, task_id)
    assert [run["status"] for run in runs] == ["Failed"] * 3
    assert [run["retry_of"] for run in runs] == [None, runs[0]["run_id"], runs[1]["run_id"]]


async def test_each_pause_is_twice_the_one_before(sdk, connect, engine):
    agent = await connect("hospital-a")
    task_id = await start_and_fail(sdk, agent, LATER)
    (first,) = await runs_of(sdk, task_id)
    assert pause_s(first) == 3600
    async with engine.begin() as connection:
        # As if the hour were over.
        await connection.exec_driver_sql("UPDATE runs SET retry_at = now()")
    await fail(agent)
    _, second = await runs_of(sdk, task_id)
    assert pause_s(second) == 7200


def pause_s(run):
    retry_at, end = (parsedate_to_datetime(run[key]) for key in ("retry_at", "end_time"))
    return (retry_at - end).total_seconds()


async def test_while_a_repeat_is_due_the_task_is_pending_and_says_when(sdk, connect):
    agent = await connect("hospital-a")
    task_id = await start_and_fail(sdk, agent, LATER, message="The engine is full.")
    assert await status_of(sdk, task_id) == "Pending"
    listed = (await sdk.task.list(1, 10))["data"]["tasks"]
    assert [task["status"] for task in listed] == ["Pending"]
    told = asyncio.Queue()
    waiting = asyncio.create_task(sdk.task.wait(task_id, on_change=told.put_nowait))
    shown = await asyncio.wait_for(told.get(), WAIT_S)
    waiting.cancel()
    assert f"Will be started again at {datetime.now(UTC):%Y}" in shown["run_message"]
    assert "hospital-a failed: The engine is full." in shown["run_message"]
    (run,) = await runs_of(sdk, task_id)
    assert run["status"] == "Failed"
    assert run["message"] == "hospital-a failed: The engine is full."


async def test_a_wait_goes_on_from_a_failed_run_to_the_end_of_its_repeats(sdk, connect):
    agent = await connect("hospital-a")
    task_id = await make_task(sdk, ONE, retry={"max_retries": 1, "backoff_s": 1})
    await sdk.task.start(task_id)
    seen = []
    waiting = asyncio.create_task(sdk.task.wait(task_id, timeout_s=WAIT_S, on_change=seen.append))
    await fail(agent)
    await agent.prepare()
    await agent.finish(await agent.launch())
    final = (await waiting)["data"]
    runs = await runs_of(sdk, task_id)
    assert (final["status"], final["run_id"]) == ("Succeeded", runs[1]["run_id"])
    assert "Failed" not in [data["status"] for data in seen]


async def test_a_workload_that_fails_is_repeated_only_if_the_template_says_so(sdk, connect):
    agent = await connect("hospital-a")
    task_id = await make_task(sdk, ONE, retry=AT_ONCE)
    await sdk.task.start(task_id)
    await agent.prepare()
    await agent.finish(await agent.launch(), exit_code=7)
    assert await status_of(sdk, task_id) == "Failed"
    agent.assignments.clear()

    again = await make_task(sdk, ONE, name="task-2", retry={**AT_ONCE, "on_nonzero_exit": True})
    await sdk.task.start(again)
    await agent.prepare()
    await agent.finish(await agent.launch(), exit_code=7)
    agent.assignments.clear()
    await agent.prepare()
    await agent.finish(await agent.launch())
    assert [run["status"] for run in await runs_of(sdk, again)] == ["Failed", "Succeeded"]


async def test_parties_that_were_only_rolled_back_do_not_keep_a_run_from_being_repeated(
    sdk, connect
):
    agents = [await connect("hospital-a"), await connect("hospital-b")]
    task_id = await make_task(sdk, ["hospital-a", "hospital-b"], retry=LATER)
    await sdk.task.start(task_id)
    await agents[1].assigned()
    await fail(agents[0], Reason.IMAGE_PULL_FAILED, S.REFUSED)
    item = await agents[1].assigned(Desired.STOPPED)
    await agents[1].report(item.spec.party_run_id, S.STOPPED, reason=item.cause)
    assert await status_of(sdk, task_id) == "Pending"


async def test_a_start_that_is_not_ready_in_time_is_repeated(sdk, connect):
    agent = await connect("hospital-a")
    task_id = await make_task(
        sdk, ONE, prepare_deadline_s=1, retry={"max_retries": 1, "backoff_s": 3600}
    )
    await sdk.task.start(task_id)
    item = await agent.assigned(Desired.STOPPED)
    await agent.report(item.spec.party_run_id, S.STOPPED, reason=item.cause)
    assert await status_of(sdk, task_id) == "Pending"


async def test_a_stop_calls_a_due_repeat_off_and_the_task_has_failed(sdk, connect):
    agent = await connect("hospital-a")
    task_id = await start_and_fail(sdk, agent, LATER)
    waiting = asyncio.create_task(sdk.task.wait(task_id, timeout_s=WAIT_S))
    assert (await sdk.task.stop(task_id, request_id="s1"))["ret_code"] == 0
    assert (await sdk.task.stop(task_id, request_id="s1"))["ret_code"] == 0
    assert (await sdk.task.stop(task_id, request_id="s2"))["ret_code"] == 10303
    final = (await waiting)["data"]
    assert final["status"] == "Failed"
    assert final["run_message"].endswith("Its retry was called off on request.")
    assert [run["retry_at"] for run in await runs_of(sdk, task_id)] == [None]


async def test_a_start_takes_the_place_of_a_due_repeat(sdk, connect):
    agent = await connect("hospital-a")
    task_id = await start_and_fail(sdk, agent, LATER)
    told = asyncio.Queue()
    waiting = asyncio.create_task(
        sdk.task.wait(task_id, timeout_s=WAIT_S, on_change=told.put_nowait)
    )
    await asyncio.wait_for(told.get(), WAIT_S)
    assert (await sdk.task.start(task_id))["ret_code"] == 0
    await agent.prepare()
    await agent.finish(await agent.launch())
    assert await status_of(sdk, task_id) == "Succeeded"
    runs = await runs_of(sdk, task_id)
    assert [run["retry_of"] for run in runs] == [None, None]
    assert [run["retry_at"] for run in runs] == [None, None]
    assert "A new start took the place of its retry." in runs[0]["message"]
    # Who waited for the run that was not repeated after all knows that it has failed.
    final = (await waiting)["data"]
    assert (final["status"], final["run_id"]) == ("Failed", runs[0]["run_id"])


async def test_a_task_whose_repeat_is_due_can_not_be_deleted(sdk, connect):
    agent = await connect("hospital-a")
    task_id = await start_and_fail(sdk, agent, LATER)
    assert (await sdk.task.delete(task_id))["ret_code"] == 10303
    await sdk.task.stop(task_id)
    assert (await sdk.task.delete(task_id))["ret_code"] == 0


async def test_what_a_user_stops_while_it_is_rolled_back_is_not_repeated(sdk, connect):
    agents = [await connect("hospital-a"), await connect("hospital-b")]
    task_id = await make_task(sdk, ["hospital-a", "hospital-b"], retry=AT_ONCE)
    await sdk.task.start(task_id)
    await agents[1].assigned()
    await fail(agents[0])
    item = await agents[1].assigned(Desired.STOPPED)
    assert (await sdk.task.stop(task_id))["ret_code"] == 0
    await agents[1].report(item.spec.party_run_id, S.STOPPED, reason=item.cause)
    assert (await sdk.task.wait(task_id, timeout_s=WAIT_S))["data"]["status"] == "Cancelled"
    assert len(await runs_of(sdk, task_id)) == 1


async def test_a_repeat_that_a_draining_party_refuses_is_the_last(sdk, connect):
    agent = await connect("hospital-a")
    task_id = await make_task(sdk, ONE, retry=AT_ONCE)
    await sdk.task.start(task_id)
    await agent.assigned()
    await sdk.party.drain("hospital-a")
    await fail(agent)
    final = await sdk.task.wait(task_id, timeout_s=WAIT_S)
    assert final["data"]["status"] == "Failed"
    assert await party_status(sdk, task_id) == {"hospital-a": ("refused", "party_draining")}
    assert len(await runs_of(sdk, task_id)) == 2


async def test_a_run_that_was_stored_before_there_were_retries_has_none(sdk, connect, engine):
    agent = await connect("hospital-a")
    task_id = await make_task(sdk, ONE, retry=AT_ONCE)
    await sdk.task.start(task_id)
    await agent.assigned()
    async with engine.begin() as connection:
        await connection.exec_driver_sql(
            "UPDATE runs SET snapshot = snapshot #- '{template,retry}'"
        )
    await fail(agent)
    assert await status_of(sdk, task_id) == "Failed"


async def test_a_start_that_an_unknown_party_refuses_is_never_repeated(sdk):
    task_id = await make_task(sdk, ["nobody"], retry=AT_ONCE)
    assert (await sdk.task.start(task_id))["ret_code"] == 10304
    assert await status_of(sdk, task_id) == "Failed"
    assert [run["retry_at"] for run in await runs_of(sdk, task_id)] == [None]


async def test_a_repeated_start_request_is_answered_while_its_repeats_go_on(sdk, connect):
    agent = await connect("hospital-a")
    task_id = await make_task(sdk, ONE, retry=AT_ONCE)
    await sdk.task.start(task_id, request_id="r1")
    await fail(agent)
    await agent.assigned()
    assert (await sdk.task.start(task_id, request_id="r1"))["ret_code"] == 0
    assert len(await runs_of(sdk, task_id)) == 2
