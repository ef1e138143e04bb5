"""Names or ids: which one is meant, and what is said when that is not clear."""

import json
from dataclasses import replace

import pytest

from flow_contract.errors import Forbidden, Kind, NotFound, Unauthenticated
from flow_server_sdk import methods
from flow_wire import tasks_pb2, templates_pb2
from flow_wire.codec.tasks import encode_task
from flow_wire.codec.templates import encode_template
from tests.sdk.examples import TEMPLATE, task

FIRST = "abcd" + "0" * 28
SECOND = "abcd" + "1" * 28
THIRD = "ffff" + "2" * 28


def known(task_id, name):
    made = task()
    return replace(made, task_id=task_id, spec=replace(made.spec, name=name))


TASKS = [known(FIRST, "first"), known(SECOND, "second"), known(THIRD, "abcd")]


@pytest.fixture
def with_tasks(server):
    reply = tasks_pb2.ListTasksResponse(
        tasks=[encode_task(each) for each in TASKS], task_count=len(TASKS)
    )
    server.replies(methods.LIST_TASKS, reply)
    server.replies(methods.GET_TASK, NotFound("task not found", kind=Kind.TASK))


@pytest.mark.usefixtures("with_tasks")
@pytest.mark.parametrize(
    ("wanted", "found"),
    [("first", FIRST), ("SECOND ", SECOND), ("ffff", THIRD), ("abcd0", FIRST)],
)
def test_a_name_or_the_first_digits_of_an_id_name_one(fedflow, wanted, found):
    assert fedflow("task", "get", wanted, "-o", "id").output.split() == [found]


@pytest.mark.usefixtures("with_tasks")
def test_what_fits_more_than_one_lists_them_all_and_guesses_nothing(server, fedflow):
    result = fedflow("task", "stop", "abcd")
    assert result.exit_code == 2
    assert "'abcd' may be any of these" in result.output
    for each in TASKS:
        assert f"  {each.task_id}  {each.spec.name}" in result.output
    assert server.asked(methods.STOP_TASK) == []


@pytest.mark.usefixtures("with_tasks")
@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        ("secnd", "did you mean 'second'?"),
        ("fff", "'fedflow task list'"),
        ("e" * 32, "fedflow task list"),
        ("\x1b[2J", "'?[2J'"),
    ],
)
def test_what_fits_none_is_not_found(fedflow, wanted, hint):
    result = fedflow("task", "get", wanted)
    assert result.exit_code == 3
    assert hint in result.output
    assert "\x1b" not in result.output


def test_a_whole_id_costs_one_call(server, fedflow):
    reply = tasks_pb2.GetTaskResponse(task=encode_task(TASKS[0]))
    server.replies(methods.GET_TASK, reply)
    assert fedflow("task", "get", FIRST, "-o", "id").output.split() == [FIRST]
    assert server.asked(methods.LIST_TASKS) == []


def test_a_template_is_found_the_same_way(server, fedflow):
    reply = templates_pb2.ListTemplatesResponse(templates=[encode_template(TEMPLATE)])
    server.replies(methods.LIST_TEMPLATES, reply)
    result = fedflow("template", "get", TEMPLATE.spec.name.upper(), "--json")
    assert json.loads(result.output)["template_id"] == TEMPLATE.template_id
    assert fedflow("template", "get", TEMPLATE.template_id[:6]).exit_code == 0


@pytest.mark.parametrize("error", [Forbidden("not yours"), Unauthenticated("who are you?")])
def test_who_may_not_ask_is_told_so(server, fedflow, error):
    server.replies(methods.LIST_TASKS, error)
    result = fedflow("task", "get", "any")
    assert result.exit_code == 4
    assert error.message in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "arguments",
    [["task", "list"], ["task", "get", "x"], ["task", "watch", "x"], ["template", "list"]],
)
def test_a_server_that_is_away_is_one_sentence_and_5(server, fedflow, arguments):
    server.stop()
    result = fedflow(*arguments)
    assert result.exit_code == 5
    [line] = result.output.splitlines()
    assert line.startswith("Error: 127.0.0.1:")
    assert "can't be reached" in line
