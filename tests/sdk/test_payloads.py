"""What has the wrong form is named and answered with 10000; nothing of it is ever sent."""

import pytest

from flow_contract.templates import OnDisconnect, RetryPolicy
from flow_server_sdk import methods
from flow_wire import tasks_pb2, templates_pb2
from flow_wire.codec.templates import decode_template_spec
from tests.sdk.examples import TASK_ID, TEMPLATE_ID

TEMPLATE = {
    "name": "template_01",
    "image_url": "iflearner_ocr:0.0.1",
    "workdir": "/data/ocr/script",
    "command": [],
}
TASK = {
    "name": "testCase1",
    "template_id": TEMPLATE_ID,
    "remark": "This is a remark.",
    "federate_data": [{"federated_id": "federate-1", "federated_data": ""}],
}
PARTY = {"federated_id": "federate-1"}


@pytest.fixture
def stored(server):
    server.replies(
        methods.CREATE_TEMPLATE, templates_pb2.CreateTemplateResponse(template_id=TEMPLATE_ID)
    )
    server.replies(methods.UPDATE_TEMPLATE, templates_pb2.UpdateTemplateResponse())
    server.replies(methods.LIST_TEMPLATES, templates_pb2.ListTemplatesResponse())
    server.replies(methods.CREATE_TASK, tasks_pb2.CreateTaskResponse(task_id=TASK_ID))
    server.replies(methods.UPDATE_TASK, tasks_pb2.UpdateTaskResponse())
    server.replies(methods.LIST_TASKS, tasks_pb2.ListTasksResponse())
    server.replies(methods.START_TASK, tasks_pb2.StartTaskResponse())
    server.replies(methods.STOP_TASK, tasks_pb2.StopTaskResponse())
    return server


def refused(server, answer, field: str) -> None:
    assert answer["ret_code"] == 10000
    assert "data" not in answer
    assert answer["ret_msg"].startswith(f"{field}: ")
    assert not any(server.requests.values())


@pytest.mark.parametrize(
    ("argument", "value", "field"),
    [
        ("name", None, "name"),
        ("name", 7, "name"),
        ("name", "a\ud800b", "name"),
        ("name", "a\x00b", "name"),
        ("image_url", ["a"], "image_url"),
        ("workdir", None, "workdir"),
        ("command", "python run.py", "command"),
        ("command", None, "command"),
        ("command", {"a": 1}, "command"),
        ("command", ["python", 1], "command[1]"),
        ("command", ["\udcff"], "command[0]"),
        ("remark", 1, "remark"),
        ("hyper_parameter", {"epoch": 1}, "hyper_parameter"),
        ("hyper_parameter", "epoch=1", "hyper_parameter"),
        ("hyper_parameter", [None], "hyper_parameter[0]"),
        ("resources", [], "resources"),
        ("resources", {"memory": "2g"}, "resources"),
        ("resources", {"\ud800": 1}, "resources"),
        ("resources", {"cpus": "2"}, "resources.cpus"),
        ("resources", {"cpus": True}, "resources.cpus"),
        ("resources", {"cpus": 10**400}, "resources.cpus"),
        ("resources", {"memory_bytes": 1.5}, "resources.memory_bytes"),
        ("resources", {"memory_bytes": 2**63}, "resources.memory_bytes"),
        ("resources", {"pids": True}, "resources.pids"),
        ("resources", {"gpus": 2}, "resources.gpus"),
        ("resources", {"gpus": {"number": 2}}, "resources.gpus"),
        ("resources", {"gpus": {"count": -1}}, "resources.gpus.count"),
        ("resources", {"gpus": {"count": True}}, "resources.gpus.count"),
        ("resources", {"gpus": {"device_ids": "0,1"}}, "resources.gpus.device_ids"),
        ("resources", {"gpus": {"device_ids": [0]}}, "resources.gpus.device_ids[0]"),
        ("resources", {"gpus": {"capabilities": "gpu"}}, "resources.gpus.capabilities"),
        ("env", ["LR=0.1"], "env"),
        ("env", {1: "a"}, "env"),
        ("env", {"LR": 0.1}, "env[LR]"),
        ("mounts", {"data_name": "scans"}, "mounts"),
        ("mounts", ["scans:/scans"], "mounts[0]"),
        ("mounts", [{"data_name": "scans"}], "mounts[0].target"),
        ("mounts", [{"data_name": "scans", "target": "/a", "mode": "rw"}], "mounts[0]"),
        ("user", 1000, "user"),
        ("network", "host", "network"),
        ("network", True, "network"),
        ("start_deadline_s", "60", "start_deadline_s"),
        ("prepare_deadline_s", 2**31, "prepare_deadline_s"),
        ("stop_grace_s", 1.5, "stop_grace_s"),
        ("run_timeout_s", "3600", "run_timeout_s"),
        ("run_timeout_s", True, "run_timeout_s"),
        ("on_disconnect", "stop", "on_disconnect"),
        ("on_disconnect", 600, "on_disconnect"),
        ("on_disconnect", {}, "on_disconnect.stop_after_s"),
        ("on_disconnect", {"stop_after_s": None}, "on_disconnect.stop_after_s"),
        ("on_disconnect", {"stop_after_s": 1.5}, "on_disconnect.stop_after_s"),
        ("on_disconnect", {"keep": True}, "on_disconnect"),
        ("retry", 3, "retry"),
        ("retry", {"retries": 3}, "retry"),
        ("retry", {"max_retries": "3"}, "retry.max_retries"),
        ("retry", {"max_retries": 3, "backoff_s": 0.5}, "retry.backoff_s"),
        ("retry", {"max_retries": 3, "on_nonzero_exit": 1}, "retry.on_nonzero_exit"),
        ("coordinator", ["python", "server.py"], "coordinator"),
        ("coordinator", {"image": "a"}, "coordinator"),
        ("coordinator", {"image_url": 1}, "coordinator.image_url"),
        ("coordinator", {"workdir": None}, "coordinator.workdir"),
        ("coordinator", {"command": "python server.py"}, "coordinator.command"),
        ("coordinator", {"command": ["python", 1]}, "coordinator.command[1]"),
        ("coordinator", {"env": {"LR": 0.1}}, "coordinator.env[LR]"),
        ("coordinator", {"resources": {"cpus": "2"}}, "coordinator.resources.cpus"),
        ("coordinator", {"resources": {"gpus": {"count": -1}}}, "coordinator.resources.gpus.count"),
        ("coordinator", {"ports": 8080}, "coordinator.ports"),
        ("coordinator", {"ports": ["8080"]}, "coordinator.ports[0]"),
        ("coordinator", {"party": None}, "coordinator.party"),
        ("coordinator", {"ends": "later"}, "coordinator.ends"),
        ("coordinator", {"decides": 1}, "coordinator.decides"),
        ("mesh", 29500, "mesh"),
        ("mesh", "29500", "mesh"),
        ("mesh", [True], "mesh[0]"),
        ("mesh", [29500, 1.5], "mesh[1]"),
        ("mesh", ["29500:29600"], "mesh[0]"),
        ("mesh", ["-1"], "mesh[0]"),
        ("mesh", [2**31], "mesh[0]"),
        ("connect_timeout_s", "60", "connect_timeout_s"),
        ("framework", "flower", "framework"),
        ("framework", True, "framework"),
    ],
)
def test_a_template_of_the_wrong_form_is_refused(sdk, stored, argument, value, field):
    arguments = TEMPLATE | {argument: value}
    refused(stored, sdk.template.create(**arguments), field)
    refused(stored, sdk.template.update(template_id=TEMPLATE_ID, **arguments), field)


@pytest.mark.parametrize(
    ("argument", "value", "field"),
    [
        ("name", None, "name"),
        ("template_id", 1, "template_id"),
        ("remark", [], "remark"),
        ("federate_data", None, "federate_data"),
        ("federate_data", "federate-1", "federate_data"),
        ("federate_data", PARTY, "federate_data"),
        ("federate_data", ["federate-1"], "federate_data[0]"),
        ("federate_data", [{}], "federate_data[0].federated_id"),
        ("federate_data", [PARTY, {"federated_id": 2}], "federate_data[1].federated_id"),
        ("federate_data", [{"federated_id": "\ud800"}], "federate_data[0].federated_id"),
        ("federate_data", [PARTY | {"federated_data": None}], "federate_data[0].federated_data"),
        ("federate_data", [PARTY | {"data": "a"}], "federate_data[0]"),
        ("federate_data", [PARTY | {1: "a"}], "federate_data[0]"),
    ],
)
def test_a_task_of_the_wrong_form_is_refused(sdk, stored, argument, value, field):
    arguments = TASK | {argument: value}
    refused(stored, sdk.task.create(**arguments), field)
    refused(stored, sdk.task.update(task_id=TASK_ID, **arguments), field)


@pytest.mark.parametrize(
    ("call", "arguments", "field"),
    [
        ("template.get", (None,), "template_id"),
        ("template.get", ("\ud800",), "template_id"),
        ("template.delete", (5,), "template_id"),
        ("template.update", (5, "name", "image", "", []), "template_id"),
        ("template.list", (1, 10), "keyword"),
        ("template.list", ("", "1"), "page"),
        ("template.list", ("", 1, True), "limit"),
        ("template.list", ("", 2**40), "page"),
        ("template.list", ("", 1, -(2**40)), "limit"),
        ("task.get", (None,), "task_id"),
        ("task.delete", (b"a",), "task_id"),
        ("task.list", ("1", 10), "page"),
        ("task.list", (1, 10.0), "limit"),
        ("task.runs", (TASK_ID, None), "page"),
        ("task.runs", (None,), "task_id"),
        ("task.start", (None,), "task_id"),
        ("task.stop", (None,), "task_id"),
        ("task.wait", (None,), "task_id"),
        ("party.list", ("1",), "page"),
        ("party.get", (1,), "federated_id"),
        ("party.drain", (None,), "federated_id"),
        ("party.resume", (None,), "federated_id"),
        ("party.add", (None,), "federated_id"),
        ("party.revoke", (None,), "federated_id"),
    ],
)
def test_an_argument_of_the_wrong_form_is_refused(sdk, stored, call, arguments, field):
    room, name = call.split(".")
    refused(stored, getattr(getattr(sdk, room), name)(*arguments), field)


@pytest.mark.parametrize(
    ("call", "argument", "value"),
    [
        ("start", "epochs", "4"),
        ("start", "epochs", True),
        ("start", "epochs", 2**31),
        ("start", "hyper_parameter", {"a": 1}),
        ("start", "enable_smpc", 1),
        ("start", "request_id", 1),
        ("stop", "request_id", 1),
        ("wait", "timeout_s", "1"),
        ("wait", "timeout_s", -1),
        ("wait", "timeout_s", float("nan")),
        ("wait", "on_change", "print"),
    ],
)
def test_a_parameter_of_a_run_of_the_wrong_form_is_refused(sdk, stored, call, argument, value):
    refused(stored, getattr(sdk.task, call)(TASK_ID, **{argument: value}), argument)


def test_a_task_list_of_a_party_that_is_no_text_is_refused(sdk, stored):
    refused(stored, sdk.task.list(1, 10, federated_id=None), "federated_id")


def test_what_is_too_large_to_send_is_refused(sdk, stored):
    answer = sdk.template.create(**TEMPLATE | {"remark": "x" * 5_000_000})
    refused(stored, answer, "request")


def test_hyper_parameter_left_out_and_empty_stay_apart_on_the_wire(sdk, stored):
    sdk.template.create(**TEMPLATE)
    sdk.template.create(**TEMPLATE, hyper_parameter=[])
    left_out, empty = (request.spec for request in stored.asked(methods.CREATE_TEMPLATE))
    assert not left_out.HasField("hyper_parameter")
    assert empty.HasField("hyper_parameter")
    assert left_out.remark == ""


def test_limits_and_retries_travel_as_they_are_given(sdk, stored):
    sdk.template.create(
        **TEMPLATE,
        run_timeout_s=60,
        on_disconnect={"stop_after_s": 5},
        retry={"max_retries": 3, "backoff_s": 0, "on_nonzero_exit": True},
    )
    sdk.template.create(**TEMPLATE, on_disconnect="keep", retry={"max_retries": 1})
    first, second = (
        decode_template_spec(request.spec) for request in stored.asked(methods.CREATE_TEMPLATE)
    )
    assert (first.run_timeout_s, first.on_disconnect) == (60, OnDisconnect(stop_after_s=5))
    assert first.retry == RetryPolicy(max_retries=3, backoff_s=0, on_nonzero_exit=True)
    assert (second.run_timeout_s, second.on_disconnect) == (None, OnDisconnect())
    assert second.retry == RetryPolicy(max_retries=1)


def test_a_task_remark_that_is_none_stays_none_on_the_wire(sdk, stored):
    sdk.task.create(**TASK | {"remark": None})
    sdk.task.create(**TASK | {"remark": ""})
    none, empty = (request.spec for request in stored.asked(methods.CREATE_TASK))
    assert not none.HasField("remark")
    assert empty.HasField("remark")


def test_a_start_without_parameters_means_the_original_s_defaults(sdk, stored):
    assert sdk.task.start(TASK_ID) == {"ret_code": 0, "ret_msg": "success"}
    request = stored.asked(methods.START_TASK)[0]
    assert (request.epochs, request.enable_smpc) == (10, False)
    assert not request.HasField("hyper_parameter")


def test_every_start_and_stop_has_a_request_id_of_its_own_unless_given(sdk, stored):
    for given in (None, None, "", "mine"):
        sdk.task.start(TASK_ID, request_id=given)
        sdk.task.stop(TASK_ID, request_id=given)
    for method in (methods.START_TASK, methods.STOP_TASK):
        *made, mine = (request.request_id for request in stored.asked(method))
        assert mine == "mine"
        assert len(set(made)) == 3
        assert all(len(request_id) == 32 for request_id in made)
