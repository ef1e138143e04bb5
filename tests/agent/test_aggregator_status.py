"""What iflearner's aggregation server says of its parties, as recorded, and as nobody should."""

import asyncio
import socket

import pytest

from flow_contract.coordination import Framework, PeerProgress, RunRole
from party_agent.aggregator_status import MAX_ANSWER_BYTES, STATUS_PORT, ask, has_status, parse
from tests.agent.fakes import make_spec

PARTIES = ("party-1", "party-2", "party-3")
HEAD = (
    b"HTTP/1.1 200 OK\r\nServer: Werkzeug/3.1.9 Python/3.11.7\r\n"
    b"Content-Type: text/html; charset=utf-8\r\nConnection: close\r\n\r\n"
)
# Of a real server: nobody there yet, the second of four epochs, and the end of one without epochs.
NOBODY = HEAD + b"{}"
SECOND = HEAD + (
    b'{"party-1": {"ready": true, "complete": false, "current_epoch": 2, "total_epoch": 4}, '
    b'"party-3": {"ready": false, "complete": false, "current_epoch": 1, "total_epoch": 4}}'
)
WITHOUT_EPOCHS = HEAD + (
    b'{"party-1": {"ready": true, "complete": true, "current_epoch": 4, "total_epoch": null}}'
)


def test_before_anybody_has_registered_nothing_is_said():
    assert parse(NOBODY, PARTIES) == ()


def test_each_registered_party_s_progress_is_read_in_the_run_s_order():
    assert parse(SECOND, PARTIES) == (
        PeerProgress(federated_id="party-1", ready=True, current_epoch=2, total_epoch=4),
        PeerProgress(federated_id="party-3", current_epoch=1, total_epoch=4),
    )


def test_a_server_without_epochs_says_no_total():
    [said] = parse(WITHOUT_EPOCHS, PARTIES)
    assert (said.complete, said.current_epoch, said.total_epoch) == (True, 4, None)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"\r\n\r\n{}",
        b"HTTP/1.1 500 INTERNAL SERVER ERROR\r\n\r\n{}",
        HEAD,
        HEAD + b"<html>",
        HEAD + b"[1, 2]",
        HEAD + b"[" * 100_000,
        HEAD + b"\xff\xfe",
        HEAD + b'{"party-1": ' + b'"' + b"x" * MAX_ANSWER_BYTES + b'"}',
    ],
)
def test_what_is_no_such_page_says_nothing(answer):
    assert parse(answer, PARTIES) is None


def test_of_a_page_with_strange_values_only_what_can_be_is_believed():
    strange = HEAD + (
        b'{"party-1": {"ready": 1, "complete": "yes", "current_epoch": -1, "total_epoch": 1e9}, '
        b'"party-2": "ready", "stranger": {"ready": true}, '
        b'"party-3": {"current_epoch": true, "total_epoch": 99999999999}}'
    )
    assert parse(strange, PARTIES) == (
        PeerProgress(federated_id="party-1"),
        PeerProgress(federated_id="party-3"),
    )


@pytest.mark.parametrize(
    ("role", "framework", "expected"),
    [
        (RunRole.COORDINATOR, Framework.IFLEARNER, True),
        (RunRole.PARTY, Framework.IFLEARNER, False),
        (RunRole.COORDINATOR, Framework.NONE, False),
    ],
)
def test_only_iflearner_s_coordinator_is_asked(role, framework, expected):
    assert has_status(make_spec(role=role, framework=framework)) is expected


class Page:
    """The sockets of a workload that answers each connection with the next of `answers`."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []
        self.talks = []

    async def dial(self, port):
        assert port == STATUS_PORT
        if not self.answers:
            raise ConnectionRefusedError
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.settimeout(0)
        self.talks.append(asyncio.create_task(self._answer(theirs, self.answers.pop(0))))
        return ours

    async def _answer(self, stream, answer):
        reader, writer = await asyncio.open_connection(sock=stream)
        self.asked.append(await reader.readuntil(b"\r\n\r\n"))
        for block in (answer[:40], answer[40:]):
            writer.write(block)
        writer.close()


async def test_the_page_is_asked_for_as_any_client_would():
    page = Page(SECOND)
    said = await ask(page, PARTIES)
    assert [each.current_epoch for each in said] == [2, 1]
    assert page.asked[0].startswith(b"GET /v1/status HTTP/1.0\r\n")
    await asyncio.gather(*page.talks)


async def test_who_does_not_listen_yet_says_nothing():
    assert await ask(Page(), PARTIES) is None


async def test_an_endless_answer_is_not_read_to_its_end():
    endless = HEAD + b" " * (4 * MAX_ANSWER_BYTES)
    page = Page(endless)
    assert await ask(page, PARTIES) is None
    for talk in page.talks:
        talk.cancel()
    await asyncio.gather(*page.talks, return_exceptions=True)
