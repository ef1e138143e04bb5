"""A run's next step and its status, folded from how far its party runs are.

The whole two-phase start is here: launch when all are prepared, roll back at the first one
that can't. Pure: facts in, decision out.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from flow_contract.lifecycle import (
    Desired,
    PartyRunState,
    RunStatus,
    is_final,
    is_final_status,
)
from flow_contract.reasons import Reason

_NOT_YET_RUNNING = (
    PartyRunState.PENDING,
    PartyRunState.PREPARING,
    PartyRunState.PREPARED,
    PartyRunState.LAUNCHING,
)


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What is stored of a run. `cause` says why `desired` is stopped."""

    status: RunStatus
    desired: Desired
    cause: Reason = Reason.NONE


@dataclass(frozen=True, kw_only=True)
class Tally:
    """How many party runs are in each state; `waiting` if any of them said what it waits for."""

    states: Mapping[PartyRunState, int]
    waiting: bool = False

    def count(self, *states: PartyRunState) -> int:
        """How many are in one of `states`."""
        return sum(self.states.get(state, 0) for state in states)

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(self.states.values())

    @property
    def final(self) -> int:
        """How many have ended."""
        return sum(count for state, count in self.states.items() if is_final(state))


def fold(facts: RunFacts, tally: Tally) -> RunFacts:
    """Return what the run's facts should become; equal to `facts` when nothing changes."""
    desired, cause = _next_desired(facts, tally)
    return RunFacts(status=_status(facts, cause, tally), desired=desired, cause=cause)


def _next_desired(facts: RunFacts, tally: Tally) -> tuple[Desired, Reason]:
    if facts.desired is not Desired.PREPARED:
        return facts.desired, facts.cause
    if tally.final:
        return Desired.STOPPED, Reason.START_ROLLED_BACK
    if tally.count(PartyRunState.PREPARED) == tally.total:
        return Desired.RUNNING, Reason.NONE
    return facts.desired, facts.cause


def _status(facts: RunFacts, cause: Reason, tally: Tally) -> RunStatus:
    if is_final_status(facts.status):
        return facts.status
    if tally.final == tally.total:
        return _outcome(cause, tally)
    if tally.count(PartyRunState.LOST):
        return RunStatus.UNKNOWN
    if not tally.count(*_NOT_YET_RUNNING):
        return RunStatus.RUNNING
    untouched = tally.count(PartyRunState.PENDING) == tally.total and not tally.waiting
    if untouched and facts.status is RunStatus.STARTED:
        return RunStatus.STARTED
    return RunStatus.PENDING


def _outcome(cause: Reason, tally: Tally) -> RunStatus:
    if cause is Reason.STOPPED_BY_USER:
        return RunStatus.CANCELLED
    if tally.count(PartyRunState.SUCCEEDED) == tally.total:
        return RunStatus.SUCCEEDED
    return RunStatus.FAILED
