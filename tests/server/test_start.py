"""One start over three parties: all or nothing, each step seen by the one who asked."""

import asyncio

from flow_contract.lifecycle import Desired, PartyRunState
from flow_contract.reasons import Reason
from tests.server.flows import PARTIES, make_task, party_status, status_of


async def test_a_start_prepares_everywhere_before_it_launches_anywhere(sdk, connect):
    agents = [await connect(party) for party in PARTIES]
    task_id = await make_task(sdk)
    assert (await sdk.task.start(task_id)) == {"ret_code": 0, "ret_msg": "success"}

    await agents[0].prepare()
    await agents[1].prepare()

    assert await status_of(sdk, task_id) == "Pending"
    assert {a.desired for agent in agents for a in agent.assignments.values()} == {Desired.PREPARED}

    await agents[2].prepare()
    items = [await agent.launch() for agent in agents]
    assert await status_of(sdk, task_id) == "Running"

    for agent, item in zip(agents, items, strict=True):
        await agent.finish(item)
    assert await status_of(sdk, task_id) == "Succeeded"


async def test_one_refusal_releases_every_other_party(sdk, connect):
    agents = [await connect(party) for party in PARTIES]
    task_id = await make_task(sdk)
    await sdk.task.start(task_id)
    await agents[0].prepare()
    refused = await agents[1].assigned()
    await agents[1].report(
        refused.spec.party_run_id, PartyRunState.REFUSED, reason=Reason.IMAGE_NOT_FOUND
    )

    for agent in (agents[0], agents[2]):
        item = await agent.assigned(Desired.STOPPED)
        assert item.cause is Reason.START_ROLLED_BACK
        await agent.report(item.spec.party_run_id, PartyRunState.STOPPED, reason=item.cause)

    final = await sdk.task.wait(task_id, timeout_s=30)
    assert final["data"]["status"] == "Failed"
    assert await party_status(sdk, task_id) == {
        "hospital-a": ("stopped", "start_rolled_back"),
        "hospital-b": ("refused", "image_not_found"),
        "hospital-c": ("stopped", "start_rolled_back"),
    }


async def test_wait_sees_the_end_without_asking_again(sdk, connect):
    agent = await connect("hospital-a")
    task_id = await make_task(sdk, ["hospital-a"])
    await sdk.task.start(task_id)
    seen = []
    waiting = asyncio.create_task(
        sdk.task.wait(task_id, timeout_s=60, on_change=lambda data: seen.append(data["status"]))
    )
    await agent.prepare()
    await agent.finish(await agent.launch(), exit_code=7)

    final = await waiting
    assert final["ret_code"] == 0
    assert final["data"]["status"] == "Failed"
    assert final["data"]["party_status"][0]["exit_code"] == 7
    assert seen[-1] == "Failed"


async def test_an_unknown_party_refuses_the_start_and_says_so_per_party(sdk, connect):
    await connect("hospital-a")
    task_id = await make_task(sdk, ["hospital-a", "nobody"])

    answer = await sdk.task.start(task_id)

    assert answer["ret_code"] == 10304
    assert "nobody" in answer["ret_msg"]
    assert await party_status(sdk, task_id) == {
        "hospital-a": ("stopped", "start_rolled_back"),
        "nobody": ("refused", "party_unknown"),
    }


async def test_a_start_while_active_and_a_stop_while_not_are_conflicts(sdk, connect):
    await connect("hospital-a")
    task_id = await make_task(sdk, ["hospital-a"])
    assert (await sdk.task.stop(task_id))["ret_code"] == 10303
    await sdk.task.start(task_id)
    assert (await sdk.task.start(task_id))["ret_code"] == 10303
    assert (await sdk.task.delete(task_id))["ret_code"] == 10303


async def test_a_stop_reaches_every_party_and_ends_as_cancelled(sdk, connect):
    agents = [await connect(party) for party in PARTIES]
    task_id = await make_task(sdk)
    await sdk.task.start(task_id)
    for agent in agents:
        await agent.prepare()
    for agent in agents:
        await agent.launch()

    assert (await sdk.task.stop(task_id))["ret_code"] == 0
    for agent in agents:
        item = await agent.assigned(Desired.STOPPED)
        assert item.cause is Reason.STOPPED_BY_USER
        await agent.report(
            item.spec.party_run_id, PartyRunState.STOPPED, reason=item.cause, exit_code=143
        )
    assert await status_of(sdk, task_id) == "Cancelled"


async def test_a_repeated_request_is_answered_with_the_run_it_made(sdk, connect):
    await connect("hospital-a")
    task_id = await make_task(sdk, ["hospital-a"])
    first = await sdk.task.start(task_id, request_id="r1")
    assert await sdk.task.start(task_id, request_id="r1") == first
    [run] = (await sdk.task.runs(task_id))["data"]["runs"]
    assert first["data"] == {"run_id": run["run_id"]}


async def test_a_template_changed_or_deleted_after_a_start_changes_nothing(sdk, connect):
    agent = await connect("hospital-a")
    task_id = await make_task(sdk, ["hospital-a"])
    await sdk.task.start(task_id)
    template_id = (await sdk.task.get(task_id))["data"]["template_id"]
    await sdk.template.update(
        template_id, name="other", image_url="other:2", workdir="", command=[]
    )
    await sdk.template.delete(template_id)

    assert (await agent.assigned()).spec.image_url == "image:1"
    assert (await sdk.task.runs(task_id))["data"]["runs"][0]["run_id"]


async def test_stops_and_reports_at_the_same_moment_never_block_each_other(sdk, connect, engine):
    agents = [await connect(f"party-{number}") for number in range(8)]
    task_id = await make_task(sdk, [agent.federated_id for agent in agents])
    for _ in range(10):
        await sdk.task.start(task_id)
        items = await asyncio.gather(*(agent.prepare() for agent in agents))
        await asyncio.gather(
            sdk.task.stop(task_id),
            *(
                agent.report(item.spec.party_run_id, PartyRunState.RUNNING)
                for agent, item in zip(agents, items, strict=True)
            ),
        )
        await asyncio.gather(
            *(
                agent.report(
                    item.spec.party_run_id, PartyRunState.STOPPED, reason=Reason.STOPPED_BY_USER
                )
                for agent, item in zip(agents, items, strict=True)
            )
        )
        assert await status_of(sdk, task_id) == "Cancelled"
        for agent, item in zip(agents, items, strict=True):
            agent.assignments.pop(item.spec.party_run_id, None)
    async with engine.begin() as connection:
        deadlocks = await connection.exec_driver_sql(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
        assert deadlocks.scalar_one() == 0
