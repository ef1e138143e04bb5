"""Shell completion: what a shell gets when somebody presses the key."""

import os
import shutil
import socket
import subprocess
import sys
from dataclasses import replace

import pytest

from flow_contract.errors import Unauthenticated
from flow_server_sdk import methods
from flow_wire import parties_pb2, tasks_pb2, templates_pb2
from flow_wire.codec.parties import encode_party
from flow_wire.codec.tasks import encode_task
from flow_wire.codec.templates import encode_template
from tests.e2e.processes.children import environment
from tests.sdk.examples import PARTY, TASK_ID, TEMPLATE, task


def complete(line, *, server):
    """Return the values of what fish would offer at the end of `line`."""
    words = line.split(" ")
    done = subprocess.run(
        [sys.executable, "-m", "flow_server_sdk.cli"],
        env=environment(
            _FEDFLOW_COMPLETE="fish_complete",
            COMP_WORDS=" ".join(words[:-1]),
            COMP_CWORD=words[-1],
            FEDFLOW_SERVER=server,
        ),
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    # kind,value and a tab before the help; an empty line for nothing.
    lines = [each.partition(",")[2] for each in done.stdout.splitlines() if each]
    return [each.partition("\t")[0] for each in lines]


@pytest.fixture
def address(server):
    strange = replace(task(), task_id="b" * 32, spec=replace(task().spec, name="two words\x1b[2J"))
    server.replies(
        methods.LIST_TASKS,
        tasks_pb2.ListTasksResponse(tasks=[encode_task(task()), encode_task(strange)]),
    )
    server.replies(
        methods.LIST_TEMPLATES,
        templates_pb2.ListTemplatesResponse(templates=[encode_template(TEMPLATE)]),
    )
    server.replies(
        methods.LIST_PARTIES, parties_pb2.ListPartiesResponse(parties=[encode_party(PARTY)])
    )
    return f"127.0.0.1:{server.port}"


def test_commands_are_completed(address):
    assert "task" in complete("fedflow t", server=address)
    assert complete("fedflow task st", server=address) == ["start", "stop"]
    assert "--follow" in complete("fedflow task logs --f", server=address)


def test_names_and_ids_come_from_the_server(address):
    # A name that a shell would take apart is offered as its id.
    assert complete("fedflow task get ", server=address) == ["testCase", "b" * 32]
    assert complete("fedflow task get test", server=address) == ["testCase"]
    assert complete(f"fedflow task get {TASK_ID[:3]}", server=address) == [TASK_ID]
    assert complete("fedflow template get te", server=address) == ["template_003"]
    assert complete("fedflow task logs x --party fed", server=address) == ["federate-1"]
    assert complete("fedflow task list --party ", server=address) == ["federate-1"]
    assert complete("fedflow task start test", server=address) == ["testCase"]


@pytest.mark.parametrize("command", ["logs", "metrics", "outputs", "download"])
def test_where_a_run_s_members_are_named_its_coordinator_is_one_of_them(address, command):
    found = complete(f"fedflow task {command} x --party ", server=address)
    assert found == ["federate-1", "coordinator"]


def test_a_server_on_the_command_line_is_asked(address):
    line = f"fedflow task get --server {address} test"
    assert complete(line, server="127.0.0.1:1") == ["testCase"]


def test_a_server_that_refuses_or_is_away_completes_nothing_and_says_nothing(server):
    server.replies(methods.LIST_TASKS, Unauthenticated("who are you?"))
    assert complete("fedflow task get ", server=f"127.0.0.1:{server.port}") == []
    assert complete("fedflow task get ", server="127.0.0.1:1") == []
    assert complete("fedflow task get ", server="no address") == []


def test_a_server_that_never_answers_does_not_hold_up_the_shell():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = f"127.0.0.1:{silent.getsockname()[1]}"
        assert complete("fedflow task get ", server=server) == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(fedflow, shell):
    result = fedflow("completion", shell)
    assert result.exit_code == 0
    assert "_FEDFLOW_COMPLETE" in result.output
    if shutil.which(shell):
        checked = subprocess.run(
            [shell, "-n"], input=result.output, text=True, capture_output=True, check=False,
            env=dict(os.environ),
        )  # fmt: skip
        assert checked.returncode == 0, checked.stderr
