"""A run's coordinator on the command line, at a site that also takes part in the run."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from flow_contract.coordination import PortRange, RunRole, Traffic
from flow_contract.lifecycle import PartyRunState, RunStatus
from flow_contract.outputs import PartyOutputs
from flow_contract.reasons import SENTENCES, Reason
from flow_contract.templates import Coordinator
from flow_server_sdk import methods, shapes
from flow_server_sdk.cli.watching.board import Board
from flow_server_sdk.cli.watching.plain import Changes
from flow_server_sdk.cli.watching.port import MetricNews, OutputNews, TaskNews
from flow_wire import outputs_pb2, tasks_pb2, templates_pb2
from flow_wire.codec.outputs import encode_party_outputs
from flow_wire.codec.tasks import encode_task
from flow_wire.codec.templates import decode_template_spec, encode_template
from tests.cli.test_board import drawn
from tests.sdk.examples import TASK_ID, TEMPLATE, TEMPLATE_ID, party_run, task

SITE = "federate-1"
WAITS = SENTENCES[Reason.WAITING_FOR_COORDINATOR]
TRAFFIC = Traffic(peer="coordinator", sent_bytes=2048, received_bytes=3 * 1024**2, connections=2)


def with_coordinator(**of_party):
    return task(
        RunStatus.RUNNING,
        party_run(rank=0, traffic=(TRAFFIC,), **of_party),
        party_run(
            PartyRunState.SUCCEEDED,
            rank=1,
            role=RunRole.COORDINATOR,
            exit_code=0,
            note="done",
            started_at=datetime(2026, 11, 21, tzinfo=UTC),
        ),
    )


@pytest.fixture
def board():
    board = Board()
    board.take(news(with_coordinator()), now_s=100.0)
    return board


def news(stored):
    return TaskNews(task=shapes.waited_task(stored))


def test_the_coordinator_has_a_line_of_its_own_after_the_parties(board):
    assert [(each.title, each.state) for each in board.parties] == [
        (SITE, "running"),
        (f"coordinator ({SITE})", "succeeded"),
    ]
    lines = drawn(board, width=120, height=24)
    assert [line.split("  ")[0] for line in lines[2:4]] == [SITE, f"coordinator ({SITE})"]


def test_what_it_measures_and_leaves_is_not_the_site_s_own(board):
    board.take(MetricNews(party="coordinator", name="loss", step=1, value=0.5), now_s=1.0)
    left = OutputNews(
        party="coordinator", complete=True, files=1, bytes=1, coming_bytes=0, stored_bytes=0
    )
    board.take(left, now_s=1.0)
    assert [(each.metric, each.uploaded) for each in board.parties] == [
        (None, None),
        (("loss", 0.5), 1.0),
    ]


def test_without_a_terminal_it_has_lines_too_and_a_wait_for_it_says_so(board):
    changes = Changes()
    assert changes.of(board)[:2] == [
        f"{SITE} running",
        f"coordinator ({SITE}) says: done",
    ]
    waiting = with_coordinator(reason=Reason.WAITING_FOR_COORDINATOR, message=WAITS)
    waiting_party = shapes.waited_task(waiting)
    waiting_party["party_status"][0]["state"] = "launching"
    board.take(TaskNews(task=waiting_party), now_s=1.0)
    assert changes.of(board) == [f"{SITE} launching (waiting_for_coordinator): {WAITS}"]
    assert WAITS in drawn(board, width=160, height=24)[2]


def test_task_get_shows_where_it_is_and_what_was_said(server, fedflow):
    reply = tasks_pb2.GetTaskResponse(task=encode_task(with_coordinator()))
    server.replies(methods.GET_TASK, reply)
    shown = fedflow("task", "get", TASK_ID).output.splitlines()
    members = shown[shown.index("") + 1 :]
    assert [line.split()[:2] for line in members[1:3]] == [
        [SITE, "aa"],
        ["coordinator", f"({SITE})"],
    ]
    assert [line.split() for line in members[-2:]] == [
        ["between", "sent", "received", "connections"],
        [SITE, "and", "coordinator", *["2.0", "KiB", "3.0", "MiB", "2"]],
    ]
    known = json.loads(fedflow("task", "get", TASK_ID, "--json").output)
    assert known["coordinator"]["name"] == "coordinator"
    assert [each["name"] for each in known["party_status"]] == [SITE]


def test_what_each_member_left_is_listed_under_its_own_name(server, fedflow):
    reply = tasks_pb2.GetTaskResponse(task=encode_task(with_coordinator()))
    server.replies(methods.GET_TASK, reply)
    server.replies(methods.LIST_OUTPUTS, listed(SITE, "coordinator"))
    lines = fedflow("task", "outputs", TASK_ID).output.splitlines()
    # The one still runs; the other has ended, and its site has not said what it left.
    assert [line.split("  ")[0] for line in lines[1:]] == [SITE, f"coordinator ({SITE})"]
    assert ["not yet" in lines[1], "awaited" in lines[2]] == [True, True]


def test_a_download_asks_nobody_but_the_listing_whether_more_is_to_come(server, fedflow, tmp_path):
    server.replies(methods.GET_TASK, tasks_pb2.GetTaskResponse(task=encode_task(task())))
    server.replies(methods.LIST_OUTPUTS, listed(SITE), listed(SITE), listed(SITE, is_complete=True))
    early = fedflow("task", "download", TASK_ID, "--to", tmp_path)
    assert (early.exit_code, f"more is to come from {SITE}" in early.output) == (15, True)
    done = fedflow("task", "download", TASK_ID, "--to", tmp_path, "--wait")
    assert (done.exit_code, done.stderr) == (0, "there are no files\n")
    assert len(server.asked(methods.GET_TASK)) == 2


def test_ports_of_a_mesh_may_be_options_and_are_kept_where_others_change(server, fedflow):
    kept = replace(TEMPLATE, spec=replace(TEMPLATE.spec, coordinator=Coordinator(ports=(80,))))
    stored = templates_pb2.GetTemplateResponse(template=encode_template(kept))
    server.replies(methods.GET_TEMPLATE, stored)
    server.replies(methods.UPDATE_TEMPLATE, templates_pb2.UpdateTemplateResponse())
    done = fedflow("template", "update", TEMPLATE_ID, "--mesh", "29500", "--mesh", "32768-60999")
    assert done.exit_code == 0, done.output
    [request] = server.asked(methods.UPDATE_TEMPLATE)
    assert decode_template_spec(request.spec) == replace(
        kept.spec,
        mesh=(PortRange(first=29500, last=29500), PortRange(first=32768, last=60999)),
    )


def test_a_port_that_is_none_is_refused_before_anything_is_sent(server, fedflow):
    done = fedflow("template", "create", "--name", "digits", "--image-url", "a", "--mesh", "all")
    assert done.exit_code == 2
    assert "mesh[0]: 'all' is no port" in done.output
    assert not any(server.requests.values())


def listed(*names, is_complete=False):
    parties = [
        PartyOutputs(federated_id=name, rank=rank, complete=is_complete, files=0, bytes=0)
        for rank, name in enumerate(names)
    ]
    return outputs_pb2.ListOutputsResponse(
        run_id="r", parties=[encode_party_outputs(one) for one in parties]
    )
