"""Steps that many server tests take through the SDK."""

import asyncio

PARTIES = ["hospital-a", "hospital-b", "hospital-c"]


async def make_template(sdk, name="template-1", **fields):
    answer = await sdk.template.create(
        **{"name": name, "image_url": "image:1", "workdir": "", "command": ["run"], **fields}
    )
    assert answer["ret_code"] == 0, answer
    return answer["data"]["template_id"]


async def make_task(sdk, parties=PARTIES, name="task-1", data="d", **template):
    template_id = await make_template(sdk, f"template of {name}", **template)
    answer = await sdk.task.create(
        name=name,
        template_id=template_id,
        remark="",
        federate_data=[{"federated_id": p, "federated_data": data} for p in parties],
    )
    assert answer["ret_code"] == 0, answer
    return answer["data"]["task_id"]


async def status_of(sdk, task_id):
    return (await sdk.task.get(task_id))["data"]["status"]


async def party_status(sdk, task_id):
    data = (await sdk.task.get(task_id))["data"]
    return {item["name"]: (item["state"], item["reason"]) for item in data["party_status"]}


async def until_absent(sdk, federated_id, timeout_s=60):
    """Return once the server knows that the party is not connected."""
    async with asyncio.timeout(timeout_s):
        # The server learns of a cut from the socket; nothing tells a client of that moment.
        while (await sdk.party.get(federated_id))["data"]["connected"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
