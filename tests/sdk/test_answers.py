"""What replies and errors become: the documented dictionaries, or the catalogue's classes."""

import grpc
import pytest

from flow_contract.errors import (
    AlreadyExists,
    Conflict,
    EmptyName,
    Exhausted,
    Forbidden,
    Internal,
    InvalidArgument,
    Kind,
    NotFound,
    PartyUnavailable,
    StaleLease,
    Unauthenticated,
    Unavailable,
)
from flow_server_sdk import methods
from flow_wire import parties_pb2, runs_pb2, tasks_pb2, templates_pb2
from flow_wire.codec.parties import encode_party
from flow_wire.codec.runs import encode_run
from flow_wire.codec.tasks import encode_task
from flow_wire.codec.templates import encode_template
from tests.sdk import examples
from tests.sdk.examples import TASK_ID, TEMPLATE_ID
from tests.sdk.scripted_server import Hang, Status

SUCCESS = {"ret_code": 0, "ret_msg": "success"}


def test_template_calls_return_what_the_documentation_shows(sdk, server):
    server.replies(
        methods.CREATE_TEMPLATE, templates_pb2.CreateTemplateResponse(template_id=TEMPLATE_ID)
    )
    server.replies(methods.UPDATE_TEMPLATE, templates_pb2.UpdateTemplateResponse())
    wire = encode_template(examples.TEMPLATE)
    server.replies(methods.GET_TEMPLATE, templates_pb2.GetTemplateResponse(template=wire))
    server.replies(
        methods.LIST_TEMPLATES,
        templates_pb2.ListTemplatesResponse(templates=[wire], template_count=108),
    )
    server.replies(methods.DELETE_TEMPLATE, templates_pb2.DeleteTemplateResponse())

    created = sdk.template.create(
        name="template_01",
        image_url="iflearner_ocr:0.0.1",
        workdir="/data/ocr/script",
        command=[],
        remark="",
        hyper_parameter=[],
    )
    assert created == {**SUCCESS, "data": {"template_id": TEMPLATE_ID}}
    updated = sdk.template.update(
        template_id=TEMPLATE_ID,
        name="template_01",
        image_url="iflearner_ocr:0.0.2",
        workdir="/data/ocr/script",
        command=[],
    )
    assert updated == SUCCESS
    assert sdk.template.get(template_id=TEMPLATE_ID) == {
        **SUCCESS,
        "data": examples.TEMPLATE_DICT,
    }
    assert sdk.template.list(keyword="", page=1, limit=10) == {
        **SUCCESS,
        "data": {"templates": [examples.TEMPLATE_DICT], "template_count": 108},
    }
    assert sdk.template.delete(template_id=TEMPLATE_ID) == SUCCESS


def test_task_calls_return_what_the_documentation_shows(sdk, server):
    wire = encode_task(examples.task())
    server.replies(methods.CREATE_TASK, tasks_pb2.CreateTaskResponse(task_id=TASK_ID))
    server.replies(methods.UPDATE_TASK, tasks_pb2.UpdateTaskResponse())
    server.replies(methods.GET_TASK, tasks_pb2.GetTaskResponse(task=wire))
    server.replies(methods.LIST_TASKS, tasks_pb2.ListTasksResponse(tasks=[wire], task_count=1))
    server.replies(methods.DELETE_TASK, tasks_pb2.DeleteTaskResponse())
    server.replies(methods.START_TASK, tasks_pb2.StartTaskResponse(run_id=examples.RUN_ID))
    server.replies(methods.STOP_TASK, tasks_pb2.StopTaskResponse())

    spec = {
        "name": "testCase",
        "template_id": "ea0f10bfbaf64a74a061d54c94cc69",
        "remark": "This is a remark.",
        "federate_data": [{"federated_id": "federate-1", "federated_data": "aa"}],
    }
    assert sdk.task.create(**spec) == {**SUCCESS, "data": {"task_id": TASK_ID}}
    assert sdk.task.update(task_id=TASK_ID, **spec) == SUCCESS
    assert sdk.task.get(TASK_ID) == {**SUCCESS, "data": examples.TASK_DICT}
    assert sdk.task.list(1, 10) == {
        **SUCCESS,
        "data": {"task_count": 1, "tasks": [examples.TASK_DICT]},
    }
    assert sdk.task.start(TASK_ID) == SUCCESS
    assert sdk.task.stop(TASK_ID) == SUCCESS
    assert sdk.task.delete(TASK_ID) == SUCCESS


def test_who_names_a_start_is_told_its_run(sdk, server):
    server.replies(methods.START_TASK, tasks_pb2.StartTaskResponse(run_id=examples.RUN_ID))
    named = sdk.task.start(TASK_ID, request_id="mine")
    assert named == {**SUCCESS, "data": {"run_id": examples.RUN_ID}}
    assert sdk.task.start(TASK_ID) == SUCCESS


def test_runs_and_parties_are_listed_with_their_counts(sdk, server):
    server.replies(
        methods.LIST_RUNS,
        runs_pb2.ListRunsResponse(runs=[encode_run(examples.run())], run_count=7),
    )
    server.replies(
        methods.LIST_PARTIES,
        parties_pb2.ListPartiesResponse(parties=[encode_party(examples.PARTY)], party_count=3),
    )
    server.replies(
        methods.GET_PARTY, parties_pb2.GetPartyResponse(party=encode_party(examples.PARTY))
    )
    runs = sdk.task.runs(TASK_ID)["data"]
    assert (runs["run_count"], runs["runs"][0]["run_id"]) == (7, examples.RUN_ID)
    parties = sdk.party.list()["data"]
    assert (parties["party_count"], parties["parties"][0]["connected"]) == (3, True)
    assert sdk.party.get("federate-1")["data"] == parties["parties"][0]


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (InvalidArgument("name: too long", field="name"), 10000),
        (NotFound("template not found", kind=Kind.TEMPLATE), 10200),
        (AlreadyExists("duplicate template name", kind=Kind.TEMPLATE), 10201),
        (NotFound("task not found", kind=Kind.TASK), 10300),
        (AlreadyExists("duplicate task name", kind=Kind.TASK), 10301),
        (EmptyName("empty task name", kind=Kind.TASK), 10302),
        (Conflict("status conflict", kind=Kind.TASK), 10303),
        (NotFound("task party not found", kind=Kind.PARTY), 10304),
        (PartyUnavailable("party-2 is not connected", kind=Kind.PARTY), 10304),
    ],
)
def test_what_the_user_can_cause_is_returned_with_its_number(sdk, server, error, number):
    server.replies(methods.START_TASK, error)
    assert sdk.task.start(TASK_ID) == {"ret_code": number, "ret_msg": error.message}


@pytest.mark.parametrize(
    "error",
    [
        Internal("incident 4711"),
        Forbidden("not yours"),
        Unauthenticated("who are you"),
        Exhausted("quota reached"),
        StaleLease("no longer yours"),
        NotFound("no such thing", kind=Kind.SERVER),
    ],
)
def test_what_the_user_can_not_cause_is_raised_as_its_class(sdk, server, error):
    server.replies(methods.CREATE_TASK, error)
    with pytest.raises(type(error)) as raised:
        sdk.task.create("name", TEMPLATE_ID, None, [])
    assert raised.value.message == f"127.0.0.1:{server.port}: {error.message}"
    assert raised.value.kind is error.kind


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (grpc.StatusCode.UNAVAILABLE, Unavailable),
        (grpc.StatusCode.UNAUTHENTICATED, Unauthenticated),
        (grpc.StatusCode.PERMISSION_DENIED, Forbidden),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Exhausted),
        (grpc.StatusCode.UNKNOWN, Internal),
        (grpc.StatusCode.INTERNAL, Internal),
        (grpc.StatusCode.NOT_FOUND, Internal),
    ],
)
def test_a_bare_status_is_raised_with_the_address_and_what_it_said(sdk, server, code, error):
    server.replies(methods.DELETE_TASK, Status(code, "said the proxy"))
    with pytest.raises(error, match=rf"127\.0\.0\.1:{server.port} .*said the proxy"):
        sdk.task.delete(TASK_ID)


def test_a_stop_that_has_not_reached_all_names_some_of_them_and_how_to_go_on(sdk, server):
    lost = [f"site-{number}" for number in range(7)]
    server.replies(methods.STOP_TASK, tasks_pb2.StopTaskResponse(lost_parties=lost))
    answer = sdk.task.stop(TASK_ID)
    assert (answer["ret_code"], answer["data"]) == (0, {"lost_parties": lost})
    assert "site-0, site-1, site-2, site-3, site-4 and others" in answer["ret_msg"]
    assert "force=True" in answer["ret_msg"]


def test_force_is_a_boolean(sdk):
    assert sdk.task.stop(TASK_ID, force="yes")["ret_code"] != 0


def test_a_server_that_is_no_flow_server_is_named_as_such(sdk):
    with pytest.raises(Internal, match="is it a flow server"):
        sdk.task.delete(TASK_ID)


def test_a_server_that_is_not_there_is_unavailable(connect, server):
    sdk = connect(server.port)
    server.stop()
    with pytest.raises(Unavailable, match=rf"127\.0\.0\.1:{server.port} can't be reached"):
        sdk.template.create("name", "image", "", [])


def test_a_server_that_never_answers_is_unavailable_after_the_timeout(connect, server):
    server.replies(methods.GET_TASK, Hang())
    with pytest.raises(Unavailable, match="did not answer in time"):
        connect(server.port, timeout_s=0.3).task.get(TASK_ID)
    assert server.abandoned.wait(30)


def test_every_call_carries_a_deadline(connect, server):
    server.replies(methods.DELETE_TASK, tasks_pb2.DeleteTaskResponse())
    connect(server.port, timeout_s=77).task.delete(TASK_ID)
    assert 60 < server.timeouts_s[0] < 80


def test_a_reply_that_this_version_can_not_read_is_not_the_user_s_fault(sdk, server):
    newer = encode_task(examples.task())
    newer.status = 99
    server.replies(methods.GET_TASK, tasks_pb2.GetTaskResponse(task=newer))
    with pytest.raises(Internal, match="upgrade"):
        sdk.task.get(TASK_ID)
