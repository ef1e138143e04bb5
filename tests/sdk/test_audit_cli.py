"""`fedflow audit`: what it shows, and that it finds what was changed."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from flow_contract.audit import GENESIS, Act, Outcome, chain, from_document, to_document
from flow_server_sdk import methods
from flow_server_sdk.cli import main
from flow_wire import audit_pb2
from flow_wire.codec.audit import encode_audit_entry
from tests.sdk.scripted_server import scripted_server


def chained(count):
    entries, previous_hash = [], GENESIS
    for sequence in range(1, count + 1):
        act = Act(
            at=datetime(2026, 1, 1, 0, 0, sequence, tzinfo=UTC),
            actor_kind="user",
            actor="alice",
            address="ipv4:10.0.0.1:5",
            action="TaskService/Start",
            subject_kind="task",
            subject_id=f"t{sequence}",
            outcome=Outcome.DONE,
            detail={"run_id": "r\x1b[31m"},
        )
        entries.append(chain(act, sequence=sequence, previous_hash=previous_hash))
        previous_hash = entries[-1].hash
    return entries


def page(entries):
    return audit_pb2.ListAuditResponse(entries=[encode_audit_entry(entry) for entry in entries])


@pytest.fixture
def server():
    with scripted_server() as running:
        yield running


@pytest.fixture
def fedflow(server):
    def run(*arguments):
        address = f"127.0.0.1:{server.port}"
        return CliRunner().invoke(main, ["audit", *arguments, "--server", address])

    return run


def test_list_shows_a_line_for_each_and_nothing_that_steers_a_terminal(server, fedflow):
    server.replies(methods.LIST_AUDIT, page(chained(2)))
    result = fedflow("list")
    assert result.exit_code == 0
    first, second = result.output.splitlines()
    assert "user:alice" in first
    assert "task t2" in second
    assert "\x1b" not in result.output


def test_json_lines_hold_all_that_verifying_needs(server, fedflow):
    entries = chained(2)
    server.replies(methods.LIST_AUDIT, page(entries))
    result = fedflow("list", "--json")
    assert [from_document(json.loads(line)) for line in result.output.splitlines()] == entries


def test_an_untouched_log_holds_and_its_newest_entry_is_named(server, fedflow):
    entries = chained(3)
    server.replies(methods.LIST_AUDIT, page(entries))
    result = fedflow("verify")
    assert (result.exit_code, result.output) == (
        0,
        f"3 entries hold; newest 3:{entries[-1].hash}\n",
    )


def test_a_changed_entry_is_named(server, fedflow):
    entries = chained(3)
    entries[1] = replace(entries[1], act=replace(entries[1].act, actor="mallory"))
    server.replies(methods.LIST_AUDIT, page(entries))
    result = fedflow("verify")
    assert result.exit_code == 1
    assert "entry 2: it is not what was written" in result.output


def test_a_cut_end_is_found_with_the_hash_that_was_kept(server, fedflow):
    entries = chained(3)
    server.replies(methods.LIST_AUDIT, page(entries[:2]))
    result = fedflow("verify", "--expect", f"3:{entries[2].hash}")
    assert result.exit_code == 1
    assert "entry 3 is not the expected one" in result.output


def test_a_kept_hash_that_is_still_there_is_accepted(server, fedflow):
    entries = chained(3)
    server.replies(methods.LIST_AUDIT, page(entries))
    assert fedflow("verify", "--expect", f"2:{entries[1].hash}").exit_code == 0


def test_what_was_shown_reads_back():
    entry = chained(1)[0]
    assert from_document(to_document(entry)) == entry
