"""Every call example of the original's documentation, as it stands there apart from the ids."""

import re

import pytest

from flow_server_sdk import FlowServerSdk
from tests.e2e.processes.children import until
from tests.images import busybox_archive

pytestmark = pytest.mark.docker

DATE = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d "
    r"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d -0000"
)
TEMPLATE_KEYS = [
    "name", "remark", "image_url", "workdir", "command", "hyper_parameter",
    "template_id", "create_time", "modify_time",
]  # fmt: skip
TASK_KEYS = [
    "create_time", "federate_data", "modify_time", "name", "party_status", "remark", "status",
    "task_id", "template_id",
]  # fmt: skip
SUCCESS = {"ret_code": 0, "ret_msg": "success"}


@pytest.fixture
def ocr_image(engine_client):
    """The image of the examples, whose own command runs until it is stopped."""
    name = "iflearner_ocr:0.0.2"
    assert not engine_client.images(name=name), f"{name} is not ours to replace"
    engine_client.import_image(
        src=busybox_archive(), repository="iflearner_ocr", tag="0.0.2",
        changes=['CMD ["sleep", "100000"]'],
    )  # fmt: skip
    yield name
    engine_client.remove_image(name)


@pytest.fixture
def federate(docker_flow, add_site, engine_client):
    """The party of the examples."""
    return add_site(
        docker_flow, "federate-1", "--runtime", "docker", "--on-exit", "stop", client=engine_client
    )


def test_every_call_example_returns_the_documented_shape(docker_flow, ocr_image, federate):
    host, port = docker_flow.server.address.rsplit(":", 1)
    assert isinstance(port, str)
    flow_server_client = FlowServerSdk(host=host, port=port)

    # --- template
    created = flow_server_client.template.create(
        name="template_01",
        image_url="iflearner_ocr:0.0.1",
        workdir="/data/ocr/script",
        command=[],
        remark="",
        hyper_parameter=[],
    )
    template_id = created["data"]["template_id"]
    assert created == {**SUCCESS, "data": {"template_id": template_id}}
    assert re.fullmatch("[0-9a-f]{30}", template_id)

    updated = flow_server_client.template.update(
        template_id=template_id,
        name="template_01",
        image_url="iflearner_ocr:0.0.2",
        workdir="/data/ocr/script",
        command=[],
    )
    assert updated == SUCCESS

    template = flow_server_client.template.get(template_id=template_id)
    assert template.keys() == {"ret_code", "ret_msg", "data"}
    assert list(template["data"]) == TEMPLATE_KEYS
    times = {name: template["data"][name] for name in ("create_time", "modify_time")}
    assert all(DATE.fullmatch(time) for time in times.values())
    assert template["data"] == {
        "name": "template_01",
        "remark": "",
        "image_url": "iflearner_ocr:0.0.2",
        "workdir": "/data/ocr/script",
        "command": [],
        "hyper_parameter": None,
        "template_id": template_id,
        **times,
    }

    listed = flow_server_client.template.list(keyword="", page=1, limit=10)
    assert listed.keys() == {"ret_code", "ret_msg", "data"}
    assert listed["data"].keys() == {"templates", "template_count"}
    assert len(listed["data"]["templates"]) == min(listed["data"]["template_count"], 10)
    assert list(listed["data"]["templates"][0])[: len(TEMPLATE_KEYS)] == TEMPLATE_KEYS

    # --- task
    made = flow_server_client.task.create(
        name="testCase1",
        template_id=template_id,
        remark="This is a remark.",
        federate_data=[{"federated_id": "federate-1", "federated_data": ""}],
    )
    task_id = made["data"]["task_id"]
    assert made == {**SUCCESS, "data": {"task_id": task_id}}
    assert re.fullmatch("[0-9a-f]{32}", task_id)

    task = flow_server_client.task.get(task_id)
    assert list(task["data"]) == TASK_KEYS
    times = {name: task["data"][name] for name in ("create_time", "modify_time")}
    assert all(DATE.fullmatch(time) for time in times.values())
    never_started = {
        "federate_data": [{"federated_data": "", "federated_id": "federate-1"}],
        "name": "testCase1",
        "party_status": None,
        "remark": "This is a remark.",
        "status": None,
        "task_id": task_id,
        "template_id": template_id,
    }
    assert task == {**SUCCESS, "data": {**never_started, **times}}

    tasks = flow_server_client.task.list(1, 10)
    assert tasks["data"].keys() == {"task_count", "tasks"}
    assert list(tasks["data"]["tasks"][0]) == TASK_KEYS

    assert flow_server_client.task.start(task_id) == SUCCESS
    until(lambda: flow_server_client.task.get(task_id)["data"]["status"] == "Running")
    assert federate.only_workload()["Config"]["WorkingDir"] == "/data/ocr/script"
    assert federate.only_workload()["Path"] == "sleep"
    assert flow_server_client.task.stop(task_id) == SUCCESS
    ended = flow_server_client.task.wait(task_id, timeout_s=90)
    assert ended["data"]["status"] == "Cancelled"

    replaced = flow_server_client.task.update(
        task_id=task_id,
        name="testCase",
        template_id=template_id,
        remark="This is a remark.",
        federate_data=[{"federated_id": "federate-1", "federated_data": "aa"}],
    )
    assert replaced == SUCCESS

    assert flow_server_client.task.delete(task_id) == SUCCESS
    assert flow_server_client.template.delete(template_id=template_id) == SUCCESS
    assert flow_server_client.task.get(task_id)["ret_code"] == 10300
    assert flow_server_client.template.get(template_id=template_id)["ret_code"] == 10200
    flow_server_client.close()
