"""Which failed runs are started again, and after how long."""

from datetime import UTC, datetime

import pytest

from flow_contract.coordination import RunRole
from flow_contract.lifecycle import PartyRunState
from flow_contract.reasons import INFRASTRUCTURE, Reason
from flow_contract.template_checks import MAX_DEADLINE_S
from flow_contract.templates import RetryPolicy
from flow_server.domain.coordination import Coordination
from flow_server.domain.retries import WORKLOAD, End, announcement, retry_after_s

S = PartyRunState
THRICE = RetryPolicy(max_retries=3, backoff_s=10)
ANYTHING = RetryPolicy(max_retries=3, backoff_s=10, on_nonzero_exit=True)

ROLLED_BACK = End(state=S.STOPPED, reason=Reason.START_ROLLED_BACK)
DONE = End(state=S.SUCCEEDED, reason=Reason.COMPLETED)
OFFLINE = End(state=S.REFUSED, reason=Reason.PARTY_OFFLINE)
EXIT_7 = End(state=S.FAILED, reason=Reason.EXIT_NONZERO)


def again(policy, *ends, retries_made=0, coordination=Coordination.NONE):
    return retry_after_s(policy, retries_made=retries_made, ends=ends, coordination=coordination)


@pytest.mark.parametrize("reason", Reason)
def test_only_a_fault_of_the_infrastructure_is_tried_again(reason):
    end = End(state=S.FAILED, reason=reason)
    assert (again(THRICE, end) is not None) == (reason in INFRASTRUCTURE)
    assert (again(ANYTHING, end) is not None) == (reason in INFRASTRUCTURE | WORKLOAD)


def test_parties_that_succeeded_or_were_rolled_back_have_no_say():
    assert again(THRICE, DONE, OFFLINE, ROLLED_BACK) == 10


def test_one_fault_that_will_not_pass_is_enough_to_give_up():
    assert again(THRICE, OFFLINE, EXIT_7) is None
    assert again(ANYTHING, OFFLINE, EXIT_7) == 10
    unknown = End(state=S.REFUSED, reason=Reason.PARTY_UNKNOWN)
    assert again(ANYTHING, OFFLINE, unknown) is None


def test_a_run_that_nobody_is_to_blame_for_is_not_tried_again():
    assert again(ANYTHING, ROLLED_BACK, End(state=S.STOPPED, reason=Reason.STOPPED_BY_USER)) is None


@pytest.mark.parametrize(
    "reason", [Reason.PEER_FAILED, Reason.PARTIES_ENDED, Reason.COORDINATOR_ENDED]
)
def test_members_that_were_stopped_because_of_another_have_no_say(reason):
    stopped = End(state=S.STOPPED, reason=reason)
    assert again(THRICE, stopped) is None
    assert again(THRICE, stopped, OFFLINE) == 10
    assert again(THRICE, stopped, EXIT_7) is None


def test_a_coordinator_that_was_not_to_be_reached_is_tried_again_unless_it_failed_itself():
    unreached = End(state=S.FAILED, reason=Reason.COORDINATOR_UNREACHABLE)
    crashed = End(state=S.FAILED, reason=Reason.EXIT_NONZERO, role=RunRole.COORDINATOR)
    assert again(THRICE, unreached) == 10
    assert again(THRICE, unreached, crashed) is None


def test_where_the_coordinator_decides_its_own_fault_alone_counts():
    vanished = End(state=S.FAILED, reason=Reason.WORKLOAD_VANISHED, role=RunRole.COORDINATOR)
    crashed = End(state=S.FAILED, reason=Reason.EXIT_NONZERO, role=RunRole.COORDINATOR)
    rolled_back = End(state=S.STOPPED, reason=Reason.START_ROLLED_BACK, role=RunRole.COORDINATOR)
    decides = {"coordination": Coordination.DECIDES}
    assert again(THRICE, vanished, EXIT_7, **decides) == 10
    assert again(THRICE, crashed, OFFLINE, **decides) is None
    assert again(THRICE, rolled_back, OFFLINE, **decides) == 10
    assert again(THRICE, vanished, EXIT_7) is None


def test_nothing_is_tried_again_unless_the_template_says_so():
    assert again(RetryPolicy(), OFFLINE) is None
    assert again(RetryPolicy(on_nonzero_exit=True), EXIT_7) is None


def test_each_pause_is_twice_the_one_before_until_there_are_no_more():
    pauses = [again(THRICE, OFFLINE, retries_made=made) for made in range(5)]
    assert pauses == [10, 20, 40, None, None]


def test_no_pause_is_longer_than_a_week():
    often = RetryPolicy(max_retries=100, backoff_s=MAX_DEADLINE_S)
    assert again(often, OFFLINE, retries_made=99) == MAX_DEADLINE_S
    assert again(RetryPolicy(max_retries=1, backoff_s=0), OFFLINE) == 0


def test_a_task_says_when_it_goes_on_and_why():
    when = datetime(2026, 11, 21, 6, 47, 51, 999_999, tzinfo=UTC)
    assert announcement(when, "north refused: The party's agent did not connect.") == (
        "Will be started again at 2026-11-21 06:47:51 UTC. "
        "The last run failed: north refused: The party's agent did not connect."
    )
