"""Bad input is answered with the field's name; nothing is stored and listings stay whole."""

import asyncio

import pytest

from tests.server.flows import make_task, make_template

GOOD = {"name": "template-1", "image_url": "image:1", "workdir": "", "command": ["run"]}

BAD_TEMPLATES = {
    "a name of 2 characters": ({"name": "ab"}, "name"),
    "a name of 51 characters": ({"name": "x" * 51}, "name"),
    "an empty name": ({"name": ""}, "name"),
    "no image": ({"image_url": ""}, "image_url"),
    "an image of 256 characters": ({"image_url": "x" * 256}, "image_url"),
    "a command that is one string": ({"command": "run"}, "command"),
    "a command with a number": ({"command": ["run", 1]}, "command"),
    "a hyper parameter that is a dict": ({"hyper_parameter": {"a": 1}}, "hyper_parameter"),
    "a null byte in the name": ({"name": "abc\0"}, "name"),
    "a null byte in the command": ({"command": ["run", "\0"]}, "command"),
    "a null byte in the remark": ({"remark": "\0"}, "remark"),
    "a remark of 1 MB": ({"remark": "x" * 1_000_000}, "remark"),
    "a request of 5 MB": ({"remark": "x" * 5_000_000}, "request"),
    "a lone surrogate": ({"remark": "\ud800"}, "remark"),
    "an unknown resource": ({"resources": {"tpus": 1}}, "tpus"),
    "cpus that are no number": ({"resources": {"cpus": float("nan")}}, "cpus"),
    "memory of -1": ({"resources": {"memory_bytes": -1}}, "memory_bytes"),
    "gpus by count and by id": (
        {"resources": {"gpus": {"count": 1, "device_ids": ["0"]}}},
        "gpus",
    ),
    "a reserved variable": ({"env": {"FEDFLOW_RANK": "7"}}, "FEDFLOW_RANK"),
    "a mount over the data": ({"mounts": [{"data_name": "d", "target": "/data"}]}, "mounts"),
    "a negative grace": ({"stop_grace_s": -1}, "stop_grace_s"),
}

BAD_TASKS = {
    "a name of 2 characters": ({"name": "ab"}, 10000, "name"),
    "a name of 51 characters": ({"name": "x" * 51}, 10000, "name"),
    "an empty name": ({"name": ""}, 10302, "name"),
    "parties that are a dict": ({"federate_data": {}}, 10000, "federate_data"),
    "a party that is a string": ({"federate_data": ["a"]}, 10000, "federate_data"),
    "a party without an id": ({"federate_data": [{"federated_data": ""}]}, 10000, "federated_id"),
    "a party with an unknown key": (
        {"federate_data": [{"federated_id": "a", "federated_data": "", "colour": 1}]},
        10000,
        "colour",
    ),
    "a party named twice": (
        {"federate_data": [{"federated_id": "a", "federated_data": ""}] * 2},
        10000,
        "federated_id",
    ),
    "a party id with a slash": (
        {"federate_data": [{"federated_id": "a/b", "federated_data": ""}]},
        10000,
        "federated_id",
    ),
}


@pytest.mark.parametrize(("change", "field"), BAD_TEMPLATES.values(), ids=BAD_TEMPLATES)
async def test_a_bad_template_is_refused_by_its_field_and_not_stored(sdk, change, field):
    answer = await sdk.template.create(**{**GOOD, **change})

    assert answer["ret_code"] == 10000
    assert field in answer["ret_msg"]
    assert (await sdk.template.list())["data"] == {"templates": [], "template_count": 0}


@pytest.mark.parametrize(("change", "code", "field"), BAD_TASKS.values(), ids=BAD_TASKS)
async def test_a_bad_task_is_refused_by_its_field_and_not_stored(sdk, change, code, field):
    good = {"name": "task-1", "template_id": "x", "remark": "", "federate_data": []}

    answer = await sdk.task.create(**{**good, **change})

    assert answer["ret_code"] == code
    assert field in answer["ret_msg"]
    assert (await sdk.task.list(1, 10))["data"] == {"tasks": [], "task_count": 0}


async def test_an_update_with_bad_input_leaves_the_template_as_it_was(sdk):
    template_id = await make_template(sdk)
    before = await sdk.template.get(template_id)

    answer = await sdk.template.update(template_id, **{**GOOD, "name": "ab"})

    assert answer["ret_code"] == 10000
    assert await sdk.template.get(template_id) == before


@pytest.mark.parametrize(("page", "limit"), [(0, 10), (-1, 10), (1, -1), (1, 1001)])
async def test_a_page_or_limit_out_of_bounds_is_refused(sdk, page, limit):
    for listing in (sdk.template.list(page=page, limit=limit), sdk.task.list(page, limit)):
        answer = await listing
        assert answer["ret_code"] == 10000
        assert "page" in answer["ret_msg"] or "limit" in answer["ret_msg"]


async def test_pages_are_stable_bounded_and_counted(sdk):
    ids = [await make_template(sdk, f"template {number}") for number in range(5)]

    pages = [(await sdk.template.list(page=page, limit=2))["data"] for page in (1, 2, 3, 4)]

    assert [[t["template_id"] for t in page["templates"]] for page in pages] == [
        ids[0:2],
        ids[2:4],
        ids[4:5],
        [],
    ]
    assert {page["template_count"] for page in pages} == {5}
    assert (await sdk.template.list(limit=0))["data"] == {"templates": [], "template_count": 5}


async def test_a_keyword_is_taken_literally_and_without_regard_to_case(sdk):
    for name in ("Lung CT 100%", "lung_ct", "Heart"):
        await make_template(sdk, name)

    def names(answer):
        return [template["name"] for template in answer["data"]["templates"]]

    assert names(await sdk.template.list(keyword="LUNG")) == ["Lung CT 100%", "lung_ct"]
    assert names(await sdk.template.list(keyword="100%")) == ["Lung CT 100%"]
    assert names(await sdk.template.list(keyword="g_c")) == ["lung_ct"]


async def test_things_that_do_not_exist_have_the_numbers_of_the_original(sdk):
    unknown = "0" * 32
    assert (await sdk.template.get(unknown))["ret_code"] == 10200
    assert (await sdk.template.update(unknown, **GOOD))["ret_code"] == 10200
    assert (await sdk.template.delete(unknown))["ret_code"] == 10200
    for call in (sdk.task.get, sdk.task.delete, sdk.task.start, sdk.task.stop, sdk.task.runs):
        assert (await call(unknown))["ret_code"] == 10300


async def test_an_unknown_template_is_noticed_at_the_start(sdk):
    task_id = await make_task(sdk)
    await sdk.template.delete((await sdk.task.get(task_id))["data"]["template_id"])

    assert (await sdk.task.start(task_id))["ret_code"] == 10200
    assert (await sdk.task.get(task_id))["data"]["status"] is None


async def test_names_that_people_read_as_one_are_one(sdk):
    await make_template(sdk, "Tpl_A")
    answer = await sdk.template.create(**{**GOOD, "name": "tpl_a "})
    assert answer["ret_code"] == 10201


async def test_a_hundred_parallel_creates_of_one_name_make_exactly_one(sdk):
    answers = await asyncio.gather(*(sdk.template.create(**GOOD) for _ in range(100)))

    codes = sorted(answer["ret_code"] for answer in answers)
    assert codes == [0] + [10201] * 99
    assert (await sdk.template.list())["data"]["template_count"] == 1


async def test_ten_parallel_starts_make_exactly_one_run(sdk, connect):
    await connect("hospital-a")
    task_id = await make_task(sdk, ["hospital-a"])

    answers = await asyncio.gather(*(sdk.task.start(task_id) for _ in range(10)))

    assert sorted(answer["ret_code"] for answer in answers) == [0] + [10303] * 9
    assert (await sdk.task.runs(task_id))["data"]["run_count"] == 1


async def test_names_in_any_script_come_back_as_they_were(sdk):
    for name in ("联邦学习", "نموذج", "🧬🧠🫀"):
        template_id = await make_template(sdk, name, remark=name * 10)
        data = (await sdk.template.get(template_id))["data"]
        assert (data["name"], data["remark"]) == (name, name * 10)
