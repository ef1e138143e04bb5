"""The state tables of party run, run and desired side."""

from itertools import product

import pytest

from flow_contract.lifecycle import (
    DESIRED_MOVES,
    PARTY_RUN_MOVES,
    RUN_MOVES,
    Desired,
    IllegalMove,
    PartyRunEvent,
    PartyRunState,
    RunStatus,
    is_final,
    is_final_status,
    may_desire,
    may_fold,
    may_report,
    next_state,
    report_moves,
    sources,
)

S = PartyRunState
FINAL = {S.SUCCEEDED, S.FAILED, S.STOPPED, S.REFUSED}
EVERY_MOVE = list(product(PartyRunState, PartyRunEvent))
LEGAL_MOVES = [(s, e) for s, e in EVERY_MOVE if e in PARTY_RUN_MOVES[s]]
ILLEGAL_MOVES = [(s, e) for s, e in EVERY_MOVE if e not in PARTY_RUN_MOVES[s]]


def reached_from(start, moves):
    """Every state on some walk of one move or more, the slow and plain way."""
    reached = set()
    walks = [[start]]
    while walks:
        walk = walks.pop()
        for target in moves[walk[-1]]:
            if target not in walk:
                reached.add(target)
                walks.append([*walk, target])
    return reached


def test_each_table_has_a_row_for_each_member():
    assert set(PARTY_RUN_MOVES) == set(PartyRunState)
    assert set(RUN_MOVES) == set(RunStatus)
    assert set(DESIRED_MOVES) == set(Desired)


def test_each_event_moves_some_state():
    assert all(sources(event) for event in PartyRunEvent)


def test_every_party_run_state_is_reachable_from_pending():
    moves = {state: tuple(row.values()) for state, row in PARTY_RUN_MOVES.items()}
    assert reached_from(S.PENDING, moves) == set(S) - {S.PENDING}


def test_every_run_status_is_reachable_from_started():
    assert reached_from(RunStatus.STARTED, RUN_MOVES) == set(RunStatus) - {RunStatus.STARTED}


def test_a_final_state_is_one_that_ended_and_stays():
    assert {state for state in S if is_final(state)} == FINAL
    for state, event in product(FINAL, PartyRunEvent):
        with pytest.raises(IllegalMove):
            next_state(state, event)


@pytest.mark.parametrize("state", sorted(set(S) - FINAL))
def test_whatever_has_not_ended_can_be_stopped(state):
    assert next_state(state, PartyRunEvent.STOP) is S.STOPPED


@pytest.mark.parametrize(("state", "event"), LEGAL_MOVES)
def test_a_legal_move_leads_where_the_table_says(state, event):
    assert next_state(state, event) is PARTY_RUN_MOVES[state][event]
    assert state in sources(event)


@pytest.mark.parametrize(("state", "event"), ILLEGAL_MOVES)
def test_an_illegal_move_names_state_and_event_and_changes_nothing(state, event):
    before = {known: dict(row) for known, row in PARTY_RUN_MOVES.items()}
    with pytest.raises(IllegalMove) as raised:
        next_state(state, event)
    assert str(state) in str(raised.value)
    assert str(event) in str(raised.value)
    assert before == PARTY_RUN_MOVES
    assert state not in sources(event)


def test_no_state_leads_to_itself():
    assert all(next_state(state, event) is not state for state, event in LEGAL_MOVES)


def test_only_an_expired_lease_makes_a_party_run_lost():
    causes = {event for state, event in LEGAL_MOVES if next_state(state, event) is S.LOST}
    assert causes == {PartyRunEvent.LEASE_EXPIRED}
    assert set(sources(PartyRunEvent.LEASE_EXPIRED)) == set(S) - FINAL - {S.LOST}


def test_a_workload_runs_only_after_it_was_prepared_and_launched():
    without = {
        state: tuple(target for target in row.values() if target not in {S.LAUNCHING, S.LOST})
        for state, row in PARTY_RUN_MOVES.items()
    }
    assert S.RUNNING not in reached_from(S.PENDING, without)
    assert S.SUCCEEDED not in reached_from(S.PENDING, without)


@pytest.mark.parametrize("stored", S)
def test_a_report_is_news_when_some_way_leads_there_that_does_not_pass_through_lost(stored):
    moves = {
        state: tuple(target for target in row.values() if target is not S.LOST)
        for state, row in PARTY_RUN_MOVES.items()
    }
    assert {reported for reported in S if may_report(stored, reported)} == reached_from(
        stored, moves
    )


def test_nobody_reports_lost_or_pending():
    assert {reported for _, reported in report_moves()}.isdisjoint({S.LOST, S.PENDING})


def test_a_late_report_is_no_news():
    assert not may_report(S.RUNNING, S.PREPARING)
    assert not may_report(S.SUCCEEDED, S.RUNNING)
    assert not may_report(S.STOPPED, S.SUCCEEDED)
    assert not any(may_report(state, state) for state in S)


def test_a_report_may_skip_states():
    assert may_report(S.PENDING, S.PREPARED)
    assert may_report(S.PREPARED, S.SUCCEEDED)


def test_what_is_lost_comes_back_as_what_it_really_is():
    assert {reported for reported in S if may_report(S.LOST, reported)} == set(S) - {
        S.LOST,
        S.PENDING,
    }


def test_report_moves_are_the_pairs_that_may_be_reported_in_table_order():
    expected = tuple((a, b) for a, b in product(S, S) if may_report(a, b))
    assert report_moves() == expected


def test_a_run_that_has_ended_stays_as_it_is():
    final = {status for status in RunStatus if is_final_status(status)}
    assert final == {RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED}
    assert not any(may_fold(stored, folded) for stored in final for folded in RunStatus)


def test_a_run_that_has_not_ended_may_end_in_each_way():
    final = [status for status in RunStatus if is_final_status(status)]
    for stored in set(RunStatus) - set(final):
        assert all(may_fold(stored, folded) for folded in final)


def test_a_status_is_never_folded_into_itself_or_back_to_started():
    assert not any(may_fold(status, status) for status in RunStatus)
    assert not any(may_fold(status, RunStatus.STARTED) for status in RunStatus)


def test_a_run_that_ran_is_never_pending_again_unless_a_party_was_lost():
    assert not may_fold(RunStatus.RUNNING, RunStatus.PENDING)
    assert may_fold(RunStatus.UNKNOWN, RunStatus.PENDING)


def test_the_desired_side_only_moves_to_the_right():
    order = list(Desired)
    for stored, wanted in product(Desired, Desired):
        assert may_desire(stored, wanted) == (order.index(wanted) > order.index(stored))
