"""Two whole agents: the order of a start, what passes, and what is told of it."""

import asyncio
import json
import secrets

import pytest

from flow_contract.coordination import Traffic
from flow_contract.lifecycle import Desired, PartyRunState
from flow_contract.reasons import Reason
from flow_contract.tunnels import Offer, Ticket
from tests.agent.fakes import until
from tests.agent.tunnel.both import heard, said
from tests.agent.tunnel.meeting_sites import (
    PORT,
    Meeting,
    coordinator_assignment,
    next_of,
    party_assignment,
)

S = PartyRunState


@pytest.fixture
async def meeting(tmp_path, relay):
    meeting = await Meeting(tmp_path, relay).start()
    yield meeting
    await meeting.close()


async def until_report(server, condition, party_run_id="party"):
    await server.until(
        lambda: (latest := server.latest(party_run_id)) is not None and condition(latest)
    )
    return server.latest(party_run_id)


class TestStart:
    async def test_a_party_is_launched_when_its_coordinator_listens_and_waits_visibly_before(
        self, meeting
    ):
        meeting.server_b.assign(coordinator_assignment())
        meeting.server_a.assign(party_assignment())
        waiting = await until_report(
            meeting.server_a, lambda seen: seen.reason is Reason.WAITING_FOR_COORDINATOR
        )
        assert waiting.state is S.PREPARED
        assert "coordinator" in waiting.message
        taken = asyncio.Queue()
        meeting.listen(taken)
        running = await meeting.server_a.until_state(S.RUNNING, "party")
        assert (running.reason, running.message) == (Reason.NONE, "")
        # What the coordinator saw of it is one connection that says nothing.
        asked = await next_of(taken)
        assert await heard(asked, 1) == b""
        asked.close()
        assert taken.empty()

    async def test_a_coordinator_that_never_listens_fails_the_party_in_time(self, meeting):
        meeting.server_b.assign(coordinator_assignment())
        meeting.server_a.assign(party_assignment(connect_timeout_s=1))
        failed = await meeting.server_a.until_state(S.FAILED, "party")
        assert failed.reason is Reason.COORDINATOR_UNREACHABLE
        assert "connect_timeout_s" in failed.message
        assert meeting.a.state.starts == {}

    async def test_a_restart_of_the_agent_is_no_new_time_to_wait(self, meeting):
        meeting.server_b.assign(coordinator_assignment())
        meeting.server_a.assign(party_assignment(connect_timeout_s=4))
        await until_report(
            meeting.server_a, lambda seen: seen.reason is Reason.WAITING_FOR_COORDINATOR
        )
        since = meeting.a.agent.units.held[0].waits_since
        await meeting.a.kill()
        await meeting.a.start()
        await until(lambda: meeting.a.agent.units.held)
        assert meeting.a.agent.units.held[0].waits_since == since
        failed = await meeting.server_a.until_state(S.FAILED, "party")
        assert failed.reason is Reason.COORDINATOR_UNREACHABLE

    async def test_a_stop_ends_the_wait_at_once(self, meeting):
        meeting.server_a.assign(party_assignment(connect_timeout_s=3600))
        await until_report(
            meeting.server_a, lambda seen: seen.reason is Reason.WAITING_FOR_COORDINATOR
        )
        meeting.server_a.assign(party_assignment(desired=Desired.STOPPED))
        await meeting.server_a.until_state(S.STOPPED, "party")
        assert meeting.a.state.starts == {}

    async def test_a_coordinator_waits_for_nobody(self, meeting):
        meeting.server_b.assign(coordinator_assignment())
        await meeting.server_b.until_state(S.RUNNING, "coordinator")


class TestTraffic:
    async def test_what_passed_is_told_by_both_and_is_final_at_the_end(self, meeting):
        taken = asyncio.Queue()
        await meeting.running(taken)
        own = meeting.dial()
        await said(own, b"question")
        other = await next_of(taken)
        assert await heard(other, 8) == b"question"
        await said(other, b"the answer")
        assert await heard(own, 10) == b"the answer"
        mine = Traffic(peer="coordinator", sent_bytes=8, received_bytes=10, connections=1)
        await until_report(meeting.server_a, lambda seen: seen.traffic == (mine,))
        # What is said right before the end is counted too.
        await said(own, b"last words")
        assert await heard(other, 10) == b"last words"
        own.close()
        other.close()
        meeting.a.state.end("party", 0)
        ended = await meeting.server_a.until_state(S.SUCCEEDED, "party")
        assert ended.traffic == (
            Traffic(peer="coordinator", sent_bytes=18, received_bytes=10, connections=1),
        )
        await until_report(
            meeting.server_b,
            lambda seen: (
                seen.traffic
                == (
                    Traffic(
                        peer="party-hospital-a", sent_bytes=10, received_bytes=18, connections=1
                    ),
                )
            ),
            "coordinator",
        )

    async def test_after_a_restart_old_connections_have_ended_and_new_ones_count_on(self, meeting):
        taken = asyncio.Queue()
        await meeting.running(taken)
        own = meeting.dial()
        await said(own, b"before")
        await heard(await next_of(taken), 6)
        await until_report(meeting.server_a, lambda seen: seen.traffic)
        await meeting.a.kill()
        assert await heard(own, 1) == b""
        await meeting.a.start()
        await until(meeting.a.agent.connected.is_set)

        def dials():
            try:
                return meeting.dial()
            except ConnectionRefusedError:
                return None

        again = []
        await until(lambda: again.append(dials()) or again[-1] is not None)
        await said(again[-1], b"after")
        other = await next_of(taken)
        assert await heard(other, 5) == b"after"
        counted = await until_report(
            meeting.server_a, lambda seen: seen.traffic and seen.traffic[0].sent_bytes == 11
        )
        assert counted.traffic[0].connections == 2
        again[-1].close()
        other.close()

    async def test_an_agent_that_lost_its_server_keeps_what_is_open(self, meeting):
        taken = asyncio.Queue()
        await meeting.running(taken)
        own = meeting.dial()
        await said(own, b"x")
        other = await next_of(taken)
        await heard(other, 1)
        meeting.server_a.cut()
        await meeting.server_a.until(lambda: len(meeting.server_a.hellos) == 2)
        await said(own, b"still here")
        assert await heard(other, 10) == b"still here"
        own.close()
        other.close()


def hostile(**changes):
    ticket = Ticket(
        tunnel_id=secrets.token_bytes(16), secret=secrets.token_bytes(32), relay_address="?"
    )
    fields = {
        "ticket": ticket,
        "party_run_id": "coordinator",
        "peer_party_run_id": "party",
        "peer_federated_id": "hospital-a",
        "port": PORT,
    }
    return Offer(**{**fields, **changes})


class TestHostileServer:
    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"party_run_id": "somebody-elses"}, "unknown_run"),
            ({"peer_party_run_id": "another-run"}, "not_declared"),
            ({"peer_federated_id": "hospital-c"}, "not_declared"),
            ({"port": 22}, "not_declared"),
        ],
        ids=["unknown party run", "no member", "another party", "undeclared port"],
    )
    async def test_what_the_assignment_does_not_say_is_refused_and_written_down(
        self, meeting, changes, reason
    ):
        taken = asyncio.Queue()
        meeting.listen(taken)
        meeting.b.net.listen("coordinator", 22, taken.put_nowait)
        meeting.server_b.assign(coordinator_assignment())
        await meeting.server_b.until_state(S.RUNNING, "coordinator")
        for _ in range(3):
            meeting.server_b.offer(hostile(**changes))
        path = meeting.b.settings.state_dir / "audit.jsonl"

        def entries():
            lines = path.read_text().splitlines()
            return [
                each for line in lines if (each := json.loads(line))["action"] == "tunnel.refuse"
            ]

        await until(entries)
        # Once, however often it is asked.
        assert [each["outcome"] for each in entries()] == ["denied"]
        assert entries()[0]["detail"]["reason"] == reason
        assert taken.empty()
        assert not meeting.relay.tapped

    async def test_a_relay_address_that_is_none_reaches_nobody(self, meeting):
        taken = asyncio.Queue()
        await meeting.running(taken)
        meeting.server_b.offer(hostile())
        # The workload was dialled for nothing, and sees that it was.
        assert await heard(await next_of(taken), 1) == b""
