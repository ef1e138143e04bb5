"""How answers are written: for people, for programs, and never with others' escape codes."""

import json
from dataclasses import replace

import pytest

from flow_contract.lifecycle import RunStatus
from flow_server_sdk import methods
from flow_server_sdk.cli.output import aligned, visible, width_of
from flow_server_sdk.cli.sizes import size_of
from flow_wire import runs_pb2, tasks_pb2, templates_pb2
from flow_wire.codec.runs import encode_run
from flow_wire.codec.tasks import encode_task
from flow_wire.codec.templates import encode_template
from tests.cli.pages import documented
from tests.sdk.examples import TASK_ID, TEMPLATE, TEMPLATE_ID, party_run, run, task
from tests.sdk.test_cli import imported_by

EVIL = "\x1b[2J\x1b]0;owned\x07evil\u202e"


@pytest.fixture
def stocked(server):
    made = task(RunStatus.RUNNING, party_run(note=EVIL, message=EVIL))
    made = replace(made, spec=replace(made.spec, name=EVIL, remark=EVIL))
    server.replies(methods.GET_TASK, tasks_pb2.GetTaskResponse(task=encode_task(made)))
    server.replies(methods.LIST_TASKS, tasks_pb2.ListTasksResponse(tasks=[encode_task(made)]))
    evil = replace(TEMPLATE, spec=replace(TEMPLATE.spec, name=EVIL, command=(EVIL,)))
    server.replies(
        methods.GET_TEMPLATE, templates_pb2.GetTemplateResponse(template=encode_template(evil))
    )
    server.replies(
        methods.LIST_TEMPLATES,
        templates_pb2.ListTemplatesResponse(templates=[encode_template(evil)]),
    )
    server.replies(
        methods.LIST_RUNS,
        runs_pb2.ListRunsResponse(runs=[encode_run(replace(run(), message=EVIL))], run_count=1),
    )


SHOWN = [
    ("task", "get", TASK_ID),
    ("task", "list"),
    ("task", "runs", TASK_ID),
    ("template", "get", TEMPLATE_ID),
    ("template", "list"),
]


@pytest.mark.usefixtures("stocked")
@pytest.mark.parametrize("arguments", SHOWN, ids=" ".join)
@pytest.mark.parametrize("form", ["table", "json", "id"])
def test_what_others_wrote_never_steers_a_terminal(fedflow, arguments, form):
    result = fedflow(*arguments, "-o", form)
    assert result.exit_code == 0, result.output
    assert all(letter.isprintable() or letter == "\n" for letter in result.output)


@pytest.mark.usefixtures("stocked")
@pytest.mark.parametrize("arguments", SHOWN, ids=" ".join)
def test_the_keys_of_the_json_are_those_of_the_page(fedflow, arguments):
    """Keys may come, on the page and here; none may go."""
    document = json.loads(fedflow(*arguments, "--json").output)
    first = document[0] if isinstance(document, list) else document
    heading = " ".join(arguments[:2])
    written = documented(heading)
    assert [key for key in written if key not in first] == []
    assert [key for key in first if key not in written] == []


@pytest.mark.usefixtures("stocked")
@pytest.mark.parametrize("arguments", [("--json",), ("-o", "id"), ()])
def test_a_task_is_shown_without_importing_what_draws_tables(server, arguments):
    address = f"127.0.0.1:{server.port}"
    modules = imported_by("task", "get", TASK_ID, "--server", address, *arguments)
    assert "grpc" in modules
    assert not {name for name in modules if name.split(".")[0] in {"rich", "yaml", "matplotlib"}}


@pytest.mark.parametrize("command", ["task", "template"])
def test_help_of_the_groups_imports_nothing_heavy(command):
    modules = imported_by(command, "--help")
    assert not modules & {"grpc", "google.protobuf", "rich", "yaml", "zstandard"}


def test_control_characters_are_shown_as_pictures_and_tabs_stay():
    assert visible("\x1b[0m\r\x00\x7f\ttab\x9b\u202e") == "␛[0m␍␀␡\ttab??"


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1024**2 - 1, "1.0 MiB"),
        (102_340, "99.9 KiB"),
        (340 * 1024**2, "340 MiB"),
        (10 * 1024**3, "10.0 GiB"),
        (2**62, "4096 PiB"),
    ],
)
def test_sizes_are_short(count, shown):
    assert size_of(count) == shown


def test_columns_stand_under_each_other_in_any_script():
    assert width_of("病院a\u0301") == 5
    assert aligned([("病院", "x"), ("abcde", "y")]) == "病院   x\nabcde  y"
    assert aligned([]) == ""
