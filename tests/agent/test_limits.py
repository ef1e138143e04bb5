"""Workloads that the agent ends by itself: too long at work, or too long without the server."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from flow_contract.lifecycle import Desired, PartyRunState
from flow_contract.reasons import Reason
from flow_contract.templates import OnDisconnect
from party_agent.limits import Limit, first_limit
from party_agent.runtime.memory_state import MemoryState
from party_agent.unit import new_unit
from tests.agent.fakes import make_assignment
from tests.agent.place import Place

S = PartyRunState
NOW = datetime(2030, 1, 1, tzinfo=UTC)
STOP_AFTER_100_S = OnDisconnect(stop_after_s=100)


def running(**changes):
    unit = new_unit(make_assignment(**changes), NOW)
    return replace(unit, status=replace(unit.status, state=S.RUNNING, started_at=NOW))


def at(after_s, reason):
    return Limit(at=NOW + timedelta(seconds=after_s), reason=reason)


class TestFirstLimit:
    def test_what_is_not_limited_runs_for_ever(self):
        assert first_limit(running(), NOW) is None

    def test_the_run_time_counts_from_the_start_of_the_workload(self):
        unit = running(run_timeout_s=60)
        assert first_limit(unit, None) == at(60, Reason.TIMED_OUT)

    def test_the_loss_of_the_server_counts_only_while_it_is_lost(self):
        unit = running(on_disconnect=STOP_AFTER_100_S)
        assert first_limit(unit, NOW) == at(100, Reason.SITE_DISCONNECTED)
        assert first_limit(unit, None) is None

    def test_the_earlier_of_two_counts(self):
        unit = running(run_timeout_s=110, on_disconnect=STOP_AFTER_100_S)
        assert first_limit(unit, NOW) == at(100, Reason.SITE_DISCONNECTED)
        later = NOW + timedelta(seconds=20)
        assert first_limit(unit, later) == at(110, Reason.TIMED_OUT)

    @pytest.mark.parametrize("state", [state for state in S if state is not S.RUNNING])
    def test_only_what_runs_is_limited(self, state):
        unit = running(run_timeout_s=1, on_disconnect=STOP_AFTER_100_S)
        unit = replace(unit, status=replace(unit.status, state=state))
        assert first_limit(unit, NOW) is None

    def test_what_is_being_stopped_is_not_limited_any_more(self):
        unit = running(run_timeout_s=1)
        assert first_limit(replace(unit, desired=Desired.STOPPED), NOW) is None
        assert first_limit(replace(unit, cut=Reason.TIMED_OUT), NOW) is None


@pytest.fixture
async def place(tmp_path):
    """A site whose engine and agent have one standing clock, and whose server is there."""
    site = Place(tmp_path / "state")
    site.state = MemoryState(now=site.clock.now)
    await site.open()
    await site.contact.gained()
    yield site
    await site.close()


async def passes(place, seconds):
    """Let the clock advance once the unit waits for it."""
    await place.clock.until_waiting()
    place.clock.advance(seconds)


class TestRunTimeout:
    async def test_a_workload_that_takes_too_long_is_stopped_and_has_failed(self, place):
        place.assign(run_timeout_s=50)
        await place.ear.until(S.RUNNING)
        await passes(place, 49)
        assert place.state.workloads["run1"].seen.phase == "running"
        await passes(place, 1)
        end = await place.ear.until(S.FAILED)
        assert (end.reason, end.exit_code) == (Reason.TIMED_OUT, 143)
        assert end.message.endswith("It ended with exit code 143.")
        assert (end.finished_at - end.started_at).total_seconds() == 50
        await place.until_gone()
        assert place.state.workloads == {}

    async def test_a_stubborn_one_gets_its_grace_and_is_killed(self, place):
        place.assign(command=("stubborn",), run_timeout_s=50, stop_grace_s=0)
        await place.ear.until(S.RUNNING)
        await passes(place, 50)
        assert (await place.ear.until(S.FAILED)).exit_code == 137

    async def test_a_limit_beyond_the_look_round_is_kept_to_the_second(self, place):
        place.assign(run_timeout_s=90)
        await place.ear.until(S.RUNNING)
        await passes(place, 60)
        await place.clock.until_waiting(30)
        place.clock.advance(30)
        assert (await place.ear.until(S.FAILED)).reason is Reason.TIMED_OUT

    async def test_it_is_kept_without_the_server(self, place):
        await place.contact.lost()
        place.assign(run_timeout_s=50)
        await place.ear.until(S.RUNNING)
        await passes(place, 50)
        assert (await place.ear.until(S.FAILED)).reason is Reason.TIMED_OUT

    async def test_time_without_an_agent_counts_and_what_is_overdue_is_stopped_at_once(self, place):
        place.assign(run_timeout_s=3600)
        await place.ear.until(S.RUNNING)
        await place.close()
        place.clock.advance(7200)
        await place.open()
        assert (await place.ear.until(S.FAILED)).reason is Reason.TIMED_OUT
        assert place.state.starts == {"run1": 1}

    async def test_what_ended_by_itself_before_it_was_stopped_has_not_timed_out(self, place):
        place.assign(command=("exit", "0", "on", "trained"), run_timeout_s=3600)
        await place.ear.until(S.RUNNING)
        await place.close()
        place.state.fire("trained")
        place.clock.advance(7200)
        await place.open()
        end = await place.ear.until(S.SUCCEEDED)
        assert (end.reason, end.exit_code) == (Reason.COMPLETED, 0)

    async def test_what_somebody_removed_before_it_was_stopped_has_vanished(self, place):
        place.assign(run_timeout_s=3600)
        await place.ear.until(S.RUNNING)
        await place.close()
        await place.memory.remove("run1")
        place.clock.advance(7200)
        await place.open()
        assert (await place.ear.until(S.FAILED)).reason is Reason.WORKLOAD_VANISHED

    async def test_a_user_s_stop_that_came_first_is_the_cause(self, place):
        place.assign(command=("stubborn",), run_timeout_s=50, stop_grace_s=3600)
        await place.ear.until(S.RUNNING)
        place.stop()
        await place.until_stop_is_asked()
        place.clock.advance(100)
        place.state.end("run1", 137)
        assert (await place.ear.until(S.STOPPED)).reason is Reason.STOPPED_BY_USER

    async def test_a_user_s_stop_that_came_later_is_not(self, place):
        place.assign(command=("stubborn",), run_timeout_s=50, stop_grace_s=3600)
        await place.ear.until(S.RUNNING)
        await passes(place, 50)
        await place.until_stop_is_asked()
        place.stop()
        await place.restart()
        place.state.end("run1", 137)
        assert (await place.ear.until(S.FAILED)).reason is Reason.TIMED_OUT


class TestDisconnect:
    async def test_a_site_without_its_server_stops_the_workload_by_itself(self, place):
        place.assign(on_disconnect=STOP_AFTER_100_S)
        await place.ear.until(S.RUNNING)
        await place.clock.until_waiting()
        place.clock.advance(1000)
        await place.contact.lost()
        await place.clock.until_waiting()
        place.clock.advance(60)
        await place.clock.until_waiting(40)
        assert place.ear.latest().state is S.RUNNING
        place.clock.advance(40)
        end = await place.ear.until(S.STOPPED)
        assert (end.reason, end.exit_code) == (Reason.SITE_DISCONNECTED, 143)
        await place.until_gone()

    async def test_a_server_that_is_back_in_time_changes_nothing(self, place):
        place.assign(on_disconnect=STOP_AFTER_100_S)
        await place.ear.until(S.RUNNING)
        await place.contact.lost()
        await place.clock.until_waiting()
        place.clock.advance(99)
        await place.contact.gained()
        await place.clock.until_waiting()
        place.clock.advance(5000)
        await place.clock.until_waiting()
        assert place.ear.latest().state is S.RUNNING

    async def test_a_template_that_says_keep_runs_on(self, place):
        place.assign()
        await place.ear.until(S.RUNNING)
        await place.contact.lost()
        await place.clock.until_waiting()
        place.clock.advance(10**6)
        await place.clock.until_waiting()
        assert place.ear.latest().state is S.RUNNING

    async def test_what_is_prepared_and_not_launched_stays(self, place):
        place.assign(desired=Desired.PREPARED, on_disconnect=STOP_AFTER_100_S)
        await place.ear.until(S.PREPARED)
        await place.contact.lost()
        place.clock.advance(10**6)
        await place.restart()
        assert place.ear.latest() is None or place.ear.latest().state is S.PREPARED
        await place.contact.gained()
        place.assign(desired=Desired.RUNNING, on_disconnect=STOP_AFTER_100_S)
        await place.ear.until(S.RUNNING)

    async def test_an_agent_that_was_down_for_so_long_stops_it_at_once(self, place):
        place.assign(on_disconnect=STOP_AFTER_100_S)
        await place.ear.until(S.RUNNING)
        await place.contact.lost()
        await place.close()
        place.clock.advance(100)
        await place.open()
        assert (await place.ear.until(S.STOPPED)).reason is Reason.SITE_DISCONNECTED

    async def test_the_loss_is_not_forgotten_over_a_restart(self, place):
        place.assign(on_disconnect=STOP_AFTER_100_S)
        await place.ear.until(S.RUNNING)
        await place.contact.lost()
        place.clock.advance(90)
        await place.restart()
        await place.clock.until_waiting(10)
        place.clock.advance(10)
        assert (await place.ear.until(S.STOPPED)).reason is Reason.SITE_DISCONNECTED
