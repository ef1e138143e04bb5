"""A watch tells each user what it may see, and ends with its proof."""

import asyncio

import pytest

from flow_contract.access import Role
from flow_contract.errors import FlowError, Forbidden, Unauthenticated
from flow_wire import events_pb2, events_pb2_grpc
from tests.security.conftest import ANSWER_S
from tests.security.people import token_id

PARTY = [{"federated_id": "nobody-yet", "federated_data": ""}]


async def make(sdk, name):
    template = await sdk.template.create(f"template of {name}", "image:1", "", ["run"])
    made = await sdk.task.create(name, template["data"]["template_id"], "", PARTY)
    return made["data"]["task_id"]


async def seen_until(watch, task_id):
    seen = []
    async with asyncio.timeout(30):
        async for event in watch:
            seen.append(event.task_id)
            if event.task_id == task_id:
                return seen
    return seen


async def test_researchers_are_told_of_their_own_tasks_and_viewers_of_all(people, sdk_of):
    ana = await sdk_of(await people.add("anette", Role.RESEARCHER))
    rob = await sdk_of(await people.add("rob", Role.RESEARCHER))
    vic = await sdk_of(await people.add("vic", Role.VIEWER))
    live = asyncio.create_task(seen_until(rob.event.watch(from_beginning=True), "none of them"))
    hers = [await make(ana, f"hers {number}") for number in range(3)]
    await ana.task.delete(hers[0])
    his = await make(rob, "his")
    assert await seen_until(rob.event.watch(from_beginning=True), his) == [his]
    assert await seen_until(vic.event.watch(from_beginning=True), his) == [*hers, hers[0], his]
    assert await seen_until(ana.event.watch(from_beginning=True), hers[2]) == hers
    live.cancel()
    # Naming another's task shows no more of it.
    theirs = rob.event.watch(from_beginning=True, task=[*hers, his])
    assert await seen_until(theirs, his) == [his]


async def test_a_watch_ends_when_its_token_is_revoked(people, sdk_of):
    token = await people.add("anette", Role.RESEARCHER)
    ana = await sdk_of(token)
    task_id = await make(ana, "hers")
    watch = ana.event.watch(from_beginning=True)
    assert (await anext(watch)).task_id == task_id
    reading = asyncio.create_task(anext(watch))
    await people.admin.user.revoke_token(token_id(token))
    with pytest.raises(Unauthenticated):
        await asyncio.wait_for(reading, 30)


async def test_a_revocation_is_told_once_of_its_party_alone(flow):
    await flow.proof_for("hospital-b")
    # Of two certificates, since it was enrolled anew.
    await flow.proof_for("hospital-a")
    await flow.proof_for("hospital-a")
    watch = events_pb2_grpc.EventServiceStub(flow.users()).Watch(
        events_pb2.WatchEventsRequest(kinds=["EVENT_KIND_PARTY"]),
        metadata=flow.admin,
        timeout=ANSWER_S,
    )
    await watch.read()
    await flow.revoke("hospital-a")
    # Again there is nothing to revoke, and nothing to tell.
    await flow.revoke("hospital-a")
    await flow.revoke("hospital-b")
    seen = []
    while len(seen) < 2:
        seen += (await watch.read()).events
    assert [(e.federated_id, e.side, e.from_value, e.to_value) for e in seen] == [
        ("hospital-a", "identity", "", "revoked"),
        ("hospital-b", "identity", "", "revoked"),
    ]
    watch.cancel()


async def test_webhooks_of_all_are_for_operators_and_of_a_task_for_who_sees_it(people, sdk_of):
    ana = await sdk_of(await people.add("anette", Role.RESEARCHER))
    rob = await sdk_of(await people.add("rob", Role.RESEARCHER))
    olga = await sdk_of(await people.add("olga", Role.OPERATOR))
    hers = await make(ana, "hers")
    url = "https://example.org/"
    with pytest.raises(Forbidden):
        await rob.webhook.create(url, of_all=True)
    with pytest.raises(FlowError):
        await rob.webhook.create(url, task_id=hers)
    assert (await ana.webhook.create(url, task_id=hers))["ret_code"] == 0
    assert (await olga.webhook.create(url, of_all=True))["ret_code"] == 0
    assert len((await rob.webhook.list())["data"]["webhooks"]) == 0
    assert len((await olga.webhook.list())["data"]["webhooks"]) == 2
