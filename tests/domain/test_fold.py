"""What a run becomes, given how far its parties are."""

import itertools

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
from flow_server.domain.fold import RunFacts, Tally, fold

S = PartyRunState
NEW = RunFacts(status=RunStatus.STARTED, desired=Desired.PREPARED)
LAUNCHED = RunFacts(status=RunStatus.PENDING, desired=Desired.RUNNING)


def tally(*states, waiting=False):
    return Tally(states={state: states.count(state) for state in states}, waiting=waiting)


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


@given(
    st.sampled_from(list(RunStatus)),
    st.sampled_from(list(Desired)),
    st.lists(st.sampled_from(list(S)), min_size=1, max_size=6),
    st.booleans(),
)
def test_every_fold_settles_at_once_and_never_leaves_the_end(status, desired, states, waiting):
    facts = RunFacts(status=status, desired=desired)
    once = fold(facts, tally(*states, waiting=waiting))

    assert fold(once, tally(*states, waiting=waiting)) == once
    if is_final_status(status):
        assert once.status is status
    if is_final_status(once.status) and not is_final_status(status):
        assert all(is_final(state) for state in states)


def test_over_every_life_of_two_parties_each_move_is_one_that_the_tables_allow():
    """Walk all interleavings of two parties' lives, folding after each step."""
    seen: set[tuple[RunFacts, tuple[PartyRunState, ...]]] = set()
    frontier = [(NEW, (S.PENDING, S.PENDING))]
    while frontier:
        facts, states = frontier.pop()
        if (facts, states) in seen:
            continue
        seen.add((facts, states))
        for party, target in itertools.product((0, 1), S):
            changed = _step(facts, states, party, target)
            if changed is None:
                continue
            after = fold(facts, tally(*changed, waiting=True))
            assert after.status is facts.status or may_fold(facts.status, after.status)
            assert after.desired is facts.desired or may_desire(facts.desired, after.desired)
            frontier.append((after, changed))
    finals = {facts.status for facts, _ in seen if is_final_status(facts.status)}
    assert finals == {RunStatus.SUCCEEDED, RunStatus.FAILED}


LAUNCHED_STATES = {S.LAUNCHING, S.RUNNING, S.SUCCEEDED}


def _step(facts, states, party, target):
    if target not in PARTY_RUN_MOVES[states[party]].values():
        return None
    if target in LAUNCHED_STATES | {S.LOST} and facts.desired is Desired.PREPARED:
        return None
    return tuple(target if place == party else state for place, state in enumerate(states))
