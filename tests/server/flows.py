"""Steps that many server tests take through the SDK."""

PARTIES = ["hospital-a", "hospital-b", "hospital-c"]


async def make_template(sdk, name="template-1", **fields):
    answer = await sdk.template.create(
        **{"name": name, "image_url": "image:1", "workdir": "", "command": ["run"], **fields}
    )
    assert answer["ret_code"] == 0, answer
    return answer["data"]["template_id"]


async def make_task(sdk, parties=PARTIES, name="task-1", **template):
    template_id = await make_template(sdk, f"template of {name}", **template)
    answer = await sdk.task.create(
        name=name,
        template_id=template_id,
        remark="",
        federate_data=[{"federated_id": p, "federated_data": "d"} for p in parties],
    )
    assert answer["ret_code"] == 0, answer
    return answer["data"]["task_id"]


async def status_of(sdk, task_id):
    return (await sdk.task.get(task_id))["data"]["status"]


async def party_status(sdk, task_id):
    data = (await sdk.task.get(task_id))["data"]
    return {item["name"]: (item["state"], item["reason"]) for item in data["party_status"]}
