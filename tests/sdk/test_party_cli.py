"""`fedflow party`: what it asks, what it shows, and how it ends."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from flow_contract.errors import Kind, NotFound
from flow_server_sdk import methods, shapes
from flow_server_sdk.cli import main
from flow_wire import parties_pb2
from flow_wire.codec.parties import encode_party
from flow_wire.codec.times import encode_time
from tests.sdk.examples import PARTY
from tests.sdk.scripted_server import scripted_server

DRAINING = replace(PARTY, draining=True)


@pytest.fixture
def server():
    with scripted_server() as running:
        yield running


@pytest.fixture
def fedflow(server):
    def run(*arguments, **environment):
        given = ["--server", f"127.0.0.1:{server.port}"] if not environment else []
        return CliRunner().invoke(main, ["party", *arguments, *given], env=environment)

    return run


def page(*parties):
    return parties_pb2.ListPartiesResponse(
        parties=[encode_party(party) for party in parties], party_count=len(parties)
    )


def test_list_shows_every_party_of_every_page(server, fedflow):
    second = replace(PARTY, federated_id="federate-2", draining=True)
    server.replies(methods.LIST_PARTIES, page(PARTY), page(second), page())
    result = fedflow("list")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0].split()[:2] == ["party", "name"]
    assert "federate-1" in lines[1]
    assert "draining" not in lines[1]
    assert "federate-2" in lines[2]
    assert "draining" in lines[2]
    assert [request.page for request in server.asked(methods.LIST_PARTIES)] == [1, 2, 3]


def test_list_writes_json_for_programs(server, fedflow):
    server.replies(methods.LIST_PARTIES, page(PARTY), page())
    assert json.loads(fedflow("list", "--json").output) == [shapes.party(PARTY)]


def test_a_name_that_would_steer_the_terminal_is_only_shown(server, fedflow):
    server.replies(methods.LIST_PARTIES, page(replace(PARTY, name="\x1b[2J[red]x")), page())
    assert "?[2J[red]x" in fedflow("list").output


@pytest.mark.parametrize(
    ("command", "method", "reply", "party", "sentence"),
    [
        (
            "drain",
            methods.DRAIN_PARTY,
            parties_pb2.DrainPartyResponse(),
            DRAINING,
            "federate-1 takes no new work\n",
        ),
        (
            "resume",
            methods.RESUME_PARTY,
            parties_pb2.ResumePartyResponse(),
            PARTY,
            "federate-1 takes new work\n",
        ),
        # The agent's own word counts too.
        (
            "resume",
            methods.RESUME_PARTY,
            parties_pb2.ResumePartyResponse(),
            DRAINING,
            "federate-1 takes no new work\n",
        ),
    ],
)
def test_drain_and_resume_say_what_the_party_does_then(  # noqa: PLR0917 - a row of the table
    server, fedflow, command, method, reply, party, sentence
):
    server.replies(method, reply)
    server.replies(methods.GET_PARTY, parties_pb2.GetPartyResponse(party=encode_party(party)))
    result = fedflow(command, "federate-1")
    assert (result.exit_code, result.output) == (0, sentence)
    assert [request.federated_id for request in server.asked(method)] == ["federate-1"]
    assert json.loads(fedflow(command, "federate-1", "--json").output) == shapes.party(party)


def test_an_unknown_party_ends_with_3_and_its_sentence(server, fedflow):
    server.replies(methods.DRAIN_PARTY, NotFound("party not found: 'nobody'", kind=Kind.PARTY))
    result = fedflow("drain", "nobody")
    assert (result.exit_code, result.output) == (3, "Error: party not found: 'nobody'\n")


def test_a_server_that_is_not_there_ends_with_5(server, fedflow):
    server.stop()
    result = fedflow("list")
    assert result.exit_code == 5
    assert "can't be reached" in result.output


def test_the_address_may_come_from_the_environment(server, fedflow):
    server.replies(methods.LIST_PARTIES, page())
    assert fedflow("list", FEDFLOW_SERVER=f"127.0.0.1:{server.port}").exit_code == 0


@pytest.mark.parametrize("address", ["localhost", "localhost:0", ":1235", "http://a:1"])
def test_an_address_that_is_none_is_a_usage_error(fedflow, address):
    result = fedflow("list", FEDFLOW_SERVER=address)
    assert result.exit_code == 2
    assert "--server" in result.output


EXPIRES_AT = datetime(2026, 11, 22, 6, 47, 51, tzinfo=UTC)


def added():
    reply = parties_pb2.AddPartyResponse(enrolment_token="ffe.a.b.c")
    encode_time(reply.expires_at, EXPIRES_AT)
    return reply


def test_add_prints_the_token_alone_where_a_pipe_reads(server, fedflow):
    server.replies(methods.ADD_PARTY, added())
    result = fedflow("add", "federate-1", "--valid-hours", "48")
    assert (result.exit_code, result.stdout) == (0, "ffe.a.b.c\n")
    assert "fedflow agent enrol" in result.stderr
    assert "Sun, 22 Nov 2026 06:47:51 -0000" in result.stderr
    assert "ffe." not in result.stderr
    [request] = server.asked(methods.ADD_PARTY)
    assert (request.federated_id, request.valid_hours) == ("federate-1", 48)
    assert json.loads(fedflow("add", "federate-1", "--json").stdout) == {
        "enrolment_token": "ffe.a.b.c",
        "expires_at": "Sun, 22 Nov 2026 06:47:51 -0000",
    }


@pytest.mark.parametrize("hours", ["0", "169", "x"])
def test_a_token_s_time_that_can_not_be_is_a_usage_error(fedflow, hours):
    assert fedflow("add", "federate-1", "--valid-hours", hours).exit_code == 2


def test_revoke_says_what_lets_the_party_in_again(server, fedflow):
    server.replies(methods.REVOKE_PARTY, parties_pb2.RevokePartyResponse())
    result = fedflow("revoke", "federate-1")
    assert (result.exit_code, "fedflow party add" in result.output) == (0, True)
    [request] = server.asked(methods.REVOKE_PARTY)
    assert request.federated_id == "federate-1"
