"""What a run becomes, given how far its parties are."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow_contract.lifecycle import (
    PARTY_RUN_MOVES,
    Desired,
    PartyRunState,
    RunStatus,
    is_final,
    is_final_status,
    may_desire,
    may_fold,
)
from flow_contract.reasons import Reason
from flow_server.domain.coordination import Coordination
from flow_server.domain.fold import RunFacts, Tally, fold

S = PartyRunState
NEW = RunFacts(status=RunStatus.STARTED, desired=Desired.PREPARED)
LAUNCHED = RunFacts(status=RunStatus.PENDING, desired=Desired.RUNNING)
COORDINATED = (Coordination.AFTER_PARTIES, Coordination.BY_ITSELF, Coordination.DECIDES)


def tally(*states, waiting=False, coordinator=None):
    """Of parties in these states, and a coordinator in that one if there is any."""
    states = states if coordinator is None else (*states, coordinator)
    counts = {state: states.count(state) for state in states}
    return Tally(states=counts, waiting=waiting, coordinator=coordinator)


def test_a_run_that_nobody_has_touched_stays_started():
    assert fold(NEW, tally(S.PENDING, S.PENDING)) == NEW


def test_a_party_that_waits_makes_the_run_pending():
    assert fold(NEW, tally(S.PENDING, S.PENDING, waiting=True)).status is RunStatus.PENDING


def test_nothing_is_launched_until_every_party_has_prepared():
    facts = fold(NEW, tally(S.PREPARED, S.PREPARED, S.PREPARING))
    assert facts.desired is Desired.PREPARED


def test_all_prepared_means_launch():
    facts = fold(NEW, tally(S.PREPARED, S.PREPARED))
    assert (facts.desired, facts.status) == (Desired.RUNNING, RunStatus.PENDING)


@pytest.mark.parametrize("state", [S.REFUSED, S.FAILED, S.STOPPED])
def test_one_party_that_cannot_rolls_the_start_back(state):
    facts = fold(NEW, tally(S.PREPARED, S.PREPARING, state))
    assert (facts.desired, facts.cause) == (Desired.STOPPED, Reason.START_ROLLED_BACK)


def test_a_failure_after_the_launch_stops_nobody_else():
    facts = fold(LAUNCHED, tally(S.RUNNING, S.FAILED))
    assert (facts.desired, facts.status) == (Desired.RUNNING, RunStatus.RUNNING)


def test_a_lost_party_makes_the_outcome_unknown():
    assert fold(LAUNCHED, tally(S.RUNNING, S.LOST)).status is RunStatus.UNKNOWN


def test_a_lost_party_that_is_back_makes_it_known_again():
    unknown = RunFacts(status=RunStatus.UNKNOWN, desired=Desired.RUNNING)
    assert fold(unknown, tally(S.RUNNING, S.RUNNING)).status is RunStatus.RUNNING


def test_all_zero_is_success_and_one_failure_is_failure():
    assert fold(LAUNCHED, tally(S.SUCCEEDED, S.SUCCEEDED)).status is RunStatus.SUCCEEDED
    assert fold(LAUNCHED, tally(S.SUCCEEDED, S.FAILED)).status is RunStatus.FAILED


def test_a_run_that_a_user_stopped_is_cancelled_once_every_party_has_ended():
    stopping = RunFacts(
        status=RunStatus.RUNNING, desired=Desired.STOPPED, cause=Reason.STOPPED_BY_USER
    )
    assert fold(stopping, tally(S.STOPPED, S.RUNNING)).status is RunStatus.RUNNING
    assert fold(stopping, tally(S.STOPPED, S.SUCCEEDED)).status is RunStatus.CANCELLED


def of_members(states, coordination, *, waiting=False):
    """Of members, the last of which is the coordinator where there is one."""
    if coordination not in COORDINATED:
        return tally(*states, waiting=waiting)
    return tally(*states[:-1], waiting=waiting, coordinator=states[-1])


@given(
    st.sampled_from(list(RunStatus)),
    st.sampled_from(list(Desired)),
    st.sampled_from(Coordination),
    st.lists(st.sampled_from(list(S)), min_size=2, max_size=6),
    st.booleans(),
)
def test_every_fold_settles_at_once_and_never_leaves_the_end(
    status, desired, coordination, states, waiting
):
    facts = RunFacts(status=status, desired=desired, coordination=coordination)
    members = of_members(states, coordination, waiting=waiting)
    once = fold(facts, members)

    assert fold(once, members) == once
    assert once.coordination is coordination
    if is_final_status(status):
        assert once.status is status
    if is_final_status(once.status) and not is_final_status(status):
        assert all(is_final(state) for state in states)


def walk(coordination):
    """Return all (facts, states) in all interleavings of the members' lives.

    Two parties and, where there is one, a coordinator; folded after each step.
    """
    new = replace(NEW, coordination=coordination)
    members = 3 if coordination in COORDINATED else 2
    seen: set[tuple[RunFacts, tuple[PartyRunState, ...]]] = set()
    frontier = [(new, (S.PENDING,) * members)]
    while frontier:
        facts, states = frontier.pop()
        if (facts, states) in seen:
            continue
        seen.add((facts, states))
        for member, target in itertools.product(range(members), S):
            changed = _step(facts, states, member, target)
            if changed is None:
                continue
            after = fold(facts, of_members(changed, coordination, waiting=True))
            assert after.status is facts.status or may_fold(facts.status, after.status)
            assert after.desired is facts.desired or may_desire(facts.desired, after.desired)
            assert facts.desired is not Desired.STOPPED or after.cause is facts.cause
            frontier.append((after, changed))
    return seen


@pytest.fixture(scope="module", params=Coordination)
def lives(request):
    return request.param, walk(request.param)


def test_over_every_life_each_move_is_one_that_the_tables_allow(lives):
    _, seen = lives
    finals = {facts.status for facts, _ in seen if is_final_status(facts.status)}
    assert finals == {RunStatus.SUCCEEDED, RunStatus.FAILED}


def test_over_every_life_success_is_that_of_those_who_have_a_say(lives):
    coordination, seen = lives
    for facts, states in seen:
        if not is_final_status(facts.status):
            continue
        succeeded = facts.status is RunStatus.SUCCEEDED
        *parties, last = states
        if coordination is Coordination.DECIDES:
            assert succeeded == (last is S.SUCCEEDED)
        elif coordination is Coordination.AFTER_PARTIES:
            in_time = facts.cause is not Reason.PEER_FAILED
            assert succeeded == (set(parties) == {S.SUCCEEDED} and in_time)
        else:
            late = facts.cause is Reason.PEER_FAILED
            assert not (succeeded and late)
            assert succeeded == (set(states) == {S.SUCCEEDED})


def test_over_every_life_nobody_is_left_waiting_for_somebody_who_is_gone(lives):
    coordination, seen = lives
    for facts, states in seen:
        gone = {state for state in states if is_final(state)}
        if facts.desired is not Desired.RUNNING or len(gone) == 0 or all(map(is_final, states)):
            continue
        if coordination is Coordination.DECIDES:
            assert not is_final(states[-1])
        elif coordination is not Coordination.NONE:
            assert gone == {S.SUCCEEDED}
        if coordination is Coordination.AFTER_PARTIES:
            assert not all(map(is_final, states[:-1]))


LAUNCHED_STATES = {S.LAUNCHING, S.RUNNING, S.SUCCEEDED}


def _step(facts, states, member, target):
    if target not in PARTY_RUN_MOVES[states[member]].values():
        return None
    if target in LAUNCHED_STATES | {S.LOST} and facts.desired is Desired.PREPARED:
        return None
    return tuple(target if place == member else state for place, state in enumerate(states))
