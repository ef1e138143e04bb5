"""Agents and server together, down to the runtime, which is scripted."""

import asyncio
from collections import Counter

import pytest

from tests.agent.fakes import until

PARTIES = ["hospital-a", "hospital-b", "hospital-c"]
WAIT_S = 60

pytestmark = pytest.mark.postgres


async def make_task(sdk, command, parties=PARTIES, **template):
    made = await sdk.template.create(
        name="template-1", image_url="image:1", workdir="", command=command, **template
    )
    task = await sdk.task.create(
        name="task-1",
        template_id=made["data"]["template_id"],
        remark="",
        federate_data=[{"federated_id": party, "federated_data": ""} for party in parties],
    )
    return task["data"]["task_id"]


async def ended(sdk, task_id):
    data = (await sdk.task.wait(task_id, timeout_s=WAIT_S))["data"]
    return data["status"], {
        item["name"]: (item["state"], item["reason"]) for item in data["party_status"]
    }


async def until_party(sdk, task_id, wanted):
    """Return once the only party of the task is as wanted; nothing tells of a wait."""
    async with asyncio.timeout(WAIT_S):
        while True:
            (party,) = (await sdk.task.get(task_id))["data"]["party_status"]
            if (party["state"], party["reason"]) == wanted:
                return
            await asyncio.sleep(0.02)


async def test_one_start_runs_at_every_party(sdk, make_site):
    sites = [await make_site(party) for party in PARTIES]
    task_id = await make_task(sdk, ["exit", "0"])
    assert (await sdk.task.start(task_id))["ret_code"] == 0
    status, parties = await ended(sdk, task_id)
    assert status == "Succeeded"
    assert parties == dict.fromkeys(PARTIES, ("succeeded", "completed"))
    assert [sum(Counter(site.state.starts).values()) for site in sites] == [1, 1, 1]
    await until(lambda: all(not site.agent.units.party_run_ids for site in sites))


async def test_one_party_that_can_not_prepare_keeps_all_from_starting(sdk, make_site):
    sites = [await make_site(party) for party in PARTIES]
    sites[1].state.images = frozenset()
    task_id = await make_task(sdk, ["exit", "0"])
    await sdk.task.start(task_id)
    status, parties = await ended(sdk, task_id)
    assert status == "Failed"
    assert parties == {
        "hospital-a": ("stopped", "start_rolled_back"),
        "hospital-b": ("refused", "image_not_found"),
        "hospital-c": ("stopped", "start_rolled_back"),
    }
    assert all(site.state.starts == {} for site in sites)
    await until(lambda: all(site.state.workloads == {} for site in sites))


async def test_a_stop_reaches_every_party(sdk, make_site):
    sites = [await make_site(party) for party in PARTIES]
    task_id = await make_task(sdk, ["run"])
    await sdk.task.start(task_id)
    await until(lambda: all(site.state.starts for site in sites))
    await sdk.task.stop(task_id)
    status, parties = await ended(sdk, task_id)
    assert status == "Cancelled"
    assert parties == dict.fromkeys(PARTIES, ("stopped", "stopped_by_user"))


async def test_a_killed_agent_changes_nothing_about_the_run(sdk, make_site):
    sites = [await make_site(party) for party in PARTIES]
    task_id = await make_task(sdk, ["exit", "0", "on", "trained"])
    await sdk.task.start(task_id)
    await until(lambda: all(site.state.starts for site in sites))
    await sites[0].kill()
    for site in sites:
        site.state.fire("trained")
    await sites[0].start()
    status, _ = await ended(sdk, task_id)
    assert status == "Succeeded"
    assert [list(site.state.starts.values()) for site in sites] == [[1], [1], [1]]


async def test_runs_wait_for_gpus_in_the_order_of_their_starts(sdk, make_site):
    site = await make_site("hospital-a", gpus=("0", "1"))
    template = await sdk.template.create(
        name="gpu-template",
        image_url="image:1",
        workdir="",
        command=["exit", "0", "on", "trained"],
        resources={"gpus": {"count": 2}},
    )
    tasks = []
    for number in range(2):
        task = await sdk.task.create(
            name=f"gpu-task-{number}",
            template_id=template["data"]["template_id"],
            remark="",
            federate_data=[{"federated_id": "hospital-a", "federated_data": ""}],
        )
        tasks.append(task["data"]["task_id"])
        await sdk.task.start(tasks[-1])
    await until(lambda: len(site.state.starts) == 1)
    await until_party(sdk, tasks[1], ("pending", "waiting_for_gpu"))
    site.state.fire("trained")
    assert (await ended(sdk, tasks[0]))[0] == "Succeeded"
    assert (await ended(sdk, tasks[1]))[0] == "Succeeded"
