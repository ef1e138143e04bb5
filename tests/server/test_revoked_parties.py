"""What becomes of the runs of a party that is revoked."""

import asyncio

import pytest

from tests.server.flows import make_task, party_status

pytestmark = pytest.mark.parametrize(
    "server_options", [{"lost_after_s": 2, "sweep_s": 0.05, "return_grace_s": 0}]
)


async def test_what_a_revoked_party_had_lost_is_given_up_and_nothing_of_others_is(sdk, connect):
    agents = [await connect("hospital-a"), await connect("hospital-b")]
    task_id = await make_task(sdk, ["hospital-a", "hospital-b"])
    await sdk.task.start(task_id)
    for agent in agents:
        await agent.prepare()
    for agent in agents:
        await agent.launch()
    both_lost = asyncio.Event()

    def look(data):
        if all(item["state"] == "lost" for item in data["party_status"]):
            both_lost.set()

    waiting = asyncio.create_task(sdk.task.wait(task_id, on_change=look))
    for agent in agents:
        await agent.cut()
    await asyncio.wait_for(both_lost.wait(), 60)
    waiting.cancel()

    assert (await sdk.party.revoke("hospital-a"))["ret_code"] == 0
    assert await party_status(sdk, task_id) == {
        "hospital-a": ("failed", "given_up"),
        "hospital-b": ("lost", "lease_expired"),
    }
    assert (await sdk.party.revoke("hospital-a"))["ret_code"] == 0


async def test_a_party_that_is_not_known_is_named(sdk):
    answer = await sdk.party.revoke("nobody")
    assert answer["ret_code"] == 10304
    assert "nobody" in answer["ret_msg"]
