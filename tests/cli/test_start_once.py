"""A start that was cut off is taken up by the same command, and by no other."""

import os

import pytest

from flow_contract.errors import Conflict, Kind
from flow_server_sdk import methods
from flow_wire import tasks_pb2, templates_pb2
from flow_wire.codec.tasks import encode_task
from flow_wire.codec.templates import encode_template
from tests.sdk.examples import RUN_ID, TASK_ID, TEMPLATE, task
from tests.sdk.scripted_server import LOST

STARTED = tasks_pb2.StartTaskResponse(run_id=RUN_ID)


@pytest.fixture
def start(server, fedflow, tmp_path):
    server.replies(methods.GET_TASK, tasks_pb2.GetTaskResponse(task=encode_task(task())))
    server.replies(
        methods.GET_TEMPLATE,
        templates_pb2.GetTemplateResponse(template=encode_template(TEMPLATE)),
    )

    def start(*arguments):
        return fedflow("task", "start", TASK_ID, *arguments, XDG_CONFIG_HOME=str(tmp_path))

    return start


def ids(server):
    """Return the request ids in the order of their first use."""
    return list(dict.fromkeys(each.request_id for each in server.asked(methods.START_TASK)))


def test_the_same_command_after_a_cut_asks_for_the_same_run(server, start):
    server.replies(methods.START_TASK, LOST)
    cut = start()
    assert cut.exit_code == 5
    assert "repeat the same command: it is started once" in cut.output
    server.replies(methods.START_TASK, STARTED)
    again = start()
    assert again.exit_code == 0
    assert f"run {RUN_ID}, the one that an earlier call had asked for" in again.output
    assert len(ids(server)) == 1

    assert start().exit_code == 0
    assert len(ids(server)) == 2


def test_another_start_after_a_cut_is_another_run(server, start):
    server.replies(methods.START_TASK, LOST)
    assert start().exit_code == 5
    server.replies(methods.START_TASK, STARTED)
    assert start("--param", "lr=2").exit_code == 0
    assert len(ids(server)) == 2


def test_a_cut_that_is_long_ago_is_forgotten(server, start, tmp_path):
    server.replies(methods.START_TASK, LOST)
    assert start().exit_code == 5
    [kept] = (tmp_path / "fedflow" / "starts").iterdir()
    os.utime(kept, (0, 0))
    server.replies(methods.START_TASK, STARTED)
    assert start("--param", "other=1").exit_code == 0
    assert not kept.exists()
    assert start().exit_code == 0
    assert len(ids(server)) == 3


def test_a_start_that_was_refused_leaves_nothing_to_take_up(server, start):
    server.replies(methods.START_TASK, Conflict("status conflict: active", kind=Kind.TASK))
    assert start().exit_code == 6
    assert start().exit_code == 6
    assert len(ids(server)) == 2


def test_a_request_id_of_ones_own_is_used_as_it_is(server, start):
    server.replies(methods.START_TASK, STARTED)
    assert start("--request-id", "job-7").exit_code == 0
    assert start("--request-id", "job-7").exit_code == 0
    assert ids(server) == ["job-7"]


@pytest.mark.parametrize(
    ("arguments", "epochs", "pairs"),
    [
        ([], None, None),
        (["--epochs", "3"], 3, None),
        (["--param", "epochs=3"], 3, None),
        (["--param", "epoch=5", "--param", "x=a=b"], None, ["epoch=5", "x=a=b"]),
    ],
)
def test_parameters_are_the_template_s_with_those_of_the_command_line(
    server, start, arguments, epochs, pairs
):
    server.replies(methods.START_TASK, STARTED)
    assert start(*arguments).exit_code == 0
    [request] = server.asked(methods.START_TASK)
    assert (request.epochs if request.HasField("epochs") else None) in {epochs, 10}
    has_pairs = request.HasField("hyper_parameter")
    assert (list(request.hyper_parameter.values) if has_pairs else None) == pairs


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--param", "lr"], "--param: 'lr' is not NAME=VALUE"),
        (["--param", "=1"], "--param: '=1' is not NAME=VALUE"),
        (["--param", "a=1", "--param", "a=2"], "--param: 'a' is given twice"),
        (["--param", "epochs=many"], "epochs=many: give a whole number"),
        (["--param", "epochs=1", "--epochs", "2"], "not both"),
        (["--timeout", "3"], "--timeout: is for --wait and --watch"),
    ],
)
def test_parameters_that_can_not_be_are_a_usage_error(server, start, arguments, problem):
    result = start(*arguments)
    assert result.exit_code == 2
    assert problem in result.output
    assert server.asked(methods.START_TASK) == []
