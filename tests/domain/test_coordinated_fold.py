"""What one member's end means for the others, where members talk to one another."""

from dataclasses import replace

import pytest

from flow_contract.coordination import Ends, PortRange
from flow_contract.lifecycle import Desired, PartyRunState, RunStatus
from flow_contract.reasons import Reason
from flow_contract.templates import Coordinator, TemplateSpec
from flow_server.domain.coordination import Coordination, coordination_of, known
from flow_server.domain.fold import RunFacts, fold
from tests.domain.test_fold import COORDINATED, tally

S = PartyRunState
C = Coordination
NEEDED = (C.AFTER_PARTIES, C.BY_ITSELF)
NOT_WELL = (S.FAILED, S.STOPPED, S.REFUSED)


def launched(coordination):
    return RunFacts(status=RunStatus.RUNNING, desired=Desired.RUNNING, coordination=coordination)


def after(coordination, *parties, coordinator=None):
    """Return (desired, cause, status) of a launched run."""
    facts = fold(launched(coordination), tally(*parties, coordinator=coordinator))
    return facts.desired, facts.cause, facts.status


GO_ON = (Desired.RUNNING, Reason.NONE, RunStatus.RUNNING)


def stopped(cause):
    return Desired.STOPPED, cause, RunStatus.RUNNING


@pytest.mark.parametrize("coordination", COORDINATED)
def test_nothing_is_launched_until_the_coordinator_has_prepared_as_well(coordination):
    new = RunFacts(status=RunStatus.STARTED, desired=Desired.PREPARED, coordination=coordination)
    assert fold(new, tally(S.PREPARED, coordinator=S.PREPARING)).desired is Desired.PREPARED
    assert fold(new, tally(S.PREPARED, coordinator=S.PREPARED)).desired is Desired.RUNNING
    rolled_back = fold(new, tally(S.PREPARED, coordinator=S.REFUSED))
    assert (rolled_back.desired, rolled_back.cause) == (Desired.STOPPED, Reason.START_ROLLED_BACK)


def test_a_coordinator_that_never_exits_is_stopped_once_all_parties_have_ended():
    both = C.AFTER_PARTIES
    assert after(both, S.SUCCEEDED, S.RUNNING, coordinator=S.RUNNING) == GO_ON
    assert after(both, S.SUCCEEDED, S.SUCCEEDED, coordinator=S.RUNNING) == stopped(
        Reason.PARTIES_ENDED
    )


@pytest.mark.parametrize("end", [S.STOPPED, S.FAILED, S.SUCCEEDED])
def test_a_run_whose_coordinator_ends_after_the_parties_is_as_good_as_they_were(end):
    stopping = replace(
        launched(C.AFTER_PARTIES), desired=Desired.STOPPED, cause=Reason.PARTIES_ENDED
    )
    well = fold(stopping, tally(S.SUCCEEDED, S.SUCCEEDED, coordinator=end))
    badly = fold(stopping, tally(S.SUCCEEDED, S.FAILED, coordinator=end))
    assert (well.status, badly.status) == (RunStatus.SUCCEEDED, RunStatus.FAILED)


@pytest.mark.parametrize("coordination", NEEDED)
@pytest.mark.parametrize("end", NOT_WELL)
def test_a_coordinator_that_fails_early_takes_the_parties_with_it(coordination, end):
    assert after(coordination, S.RUNNING, S.SUCCEEDED, coordinator=end) == stopped(
        Reason.PEER_FAILED
    )


@pytest.mark.parametrize("coordination", NEEDED)
def test_a_run_that_lost_its_coordinator_early_has_failed_however_the_parties_ended(coordination):
    stopping = replace(launched(coordination), desired=Desired.STOPPED, cause=Reason.PEER_FAILED)
    ended = fold(stopping, tally(S.SUCCEEDED, S.SUCCEEDED, coordinator=S.FAILED))
    assert ended.status is RunStatus.FAILED


@pytest.mark.parametrize("coordination", NEEDED)
def test_a_coordinator_that_exits_zero_early_stops_nobody(coordination):
    assert after(coordination, S.RUNNING, S.RUNNING, coordinator=S.SUCCEEDED) == GO_ON


@pytest.mark.parametrize("coordination", NEEDED)
@pytest.mark.parametrize("end", NOT_WELL)
def test_a_party_that_fails_stops_the_others_and_the_coordinator(coordination, end):
    assert after(coordination, S.RUNNING, end, coordinator=S.RUNNING) == stopped(Reason.PEER_FAILED)


def test_a_member_of_a_mesh_that_fails_stops_the_others():
    assert after(C.MESH, S.RUNNING, S.FAILED) == stopped(Reason.PEER_FAILED)
    assert after(C.MESH, S.RUNNING, S.SUCCEEDED) == GO_ON


def test_a_coordinator_that_ends_by_itself_is_waited_for():
    assert after(C.BY_ITSELF, S.SUCCEEDED, coordinator=S.RUNNING) == GO_ON
    done = after(C.BY_ITSELF, S.SUCCEEDED, coordinator=S.SUCCEEDED)
    assert done == (Desired.RUNNING, Reason.NONE, RunStatus.SUCCEEDED)


@pytest.mark.parametrize("end", [*NOT_WELL, S.SUCCEEDED])
def test_the_end_of_a_coordinator_that_decides_is_the_run_s(end):
    assert after(C.DECIDES, S.RUNNING, S.FAILED, coordinator=end) == stopped(
        Reason.COORDINATOR_ENDED
    )
    stopping = replace(launched(C.DECIDES), desired=Desired.STOPPED, cause=Reason.COORDINATOR_ENDED)
    ended = fold(stopping, tally(S.STOPPED, S.FAILED, coordinator=end))
    well = end is S.SUCCEEDED
    assert ended.status is (RunStatus.SUCCEEDED if well else RunStatus.FAILED)


def test_where_the_coordinator_decides_no_party_s_end_stops_anybody():
    assert after(C.DECIDES, S.RUNNING, S.FAILED, coordinator=S.RUNNING) == GO_ON
    assert after(C.DECIDES, S.SUCCEEDED, S.FAILED, coordinator=S.RUNNING) == GO_ON


@pytest.mark.parametrize("coordination", COORDINATED)
def test_a_lost_coordinator_is_waited_for_as_a_lost_party_is(coordination):
    assert after(coordination, S.RUNNING, coordinator=S.LOST) == (
        Desired.RUNNING,
        Reason.NONE,
        RunStatus.UNKNOWN,
    )


@pytest.mark.parametrize("coordination", COORDINATED)
def test_a_run_that_a_user_stopped_is_cancelled_whatever_its_coordinator_did(coordination):
    stopping = replace(
        launched(coordination), desired=Desired.STOPPED, cause=Reason.STOPPED_BY_USER
    )
    ended = fold(stopping, tally(S.SUCCEEDED, coordinator=S.FAILED))
    assert ended.status is RunStatus.CANCELLED


def test_how_members_depend_on_one_another_stands_in_the_template():
    def of(**fields):
        return coordination_of(TemplateSpec(name="t", image_url="i", **fields))

    ports = {"mesh": (PortRange(first=29500, last=29500),)}
    by_itself = Coordinator(ports=(80,), ends=Ends.BY_ITSELF)
    assert of() is C.NONE
    assert of(**ports) is C.MESH
    assert of(coordinator=Coordinator(ports=(80,))) is C.AFTER_PARTIES
    assert of(coordinator=Coordinator(ports=(80,)), **ports) is C.AFTER_PARTIES
    assert of(coordinator=by_itself) is C.BY_ITSELF
    assert of(coordinator=replace(by_itself, decides=True)) is C.DECIDES


def test_a_dependence_that_newer_code_invented_reads_as_none():
    assert known("by_itself") is C.BY_ITSELF
    assert known("ring") is C.NONE
