"""A run's next step and its status, folded from how far its party runs are.

The whole two-phase start is here: launch when all are prepared, roll back at the first one
that can't. So is what one member's end means for those that talk to it. Pure: facts in,
decision out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from flow_contract.lifecycle import (
    Desired,
    PartyRunState,
    RunStatus,
    is_final,
    is_final_status,
)
from flow_contract.reasons import Reason
from flow_server.domain.coordination import Coordination

_NOT_YET_RUNNING = (
    PartyRunState.PENDING,
    PartyRunState.PREPARING,
    PartyRunState.PREPARED,
    PartyRunState.LAUNCHING,
)


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What is stored of a run. `cause` says why `desired` is stopped.

    `coordination` never changes: how its members depend on one another.
    """

    status: RunStatus
    desired: Desired
    cause: Reason = Reason.NONE
    coordination: Coordination = Coordination.NONE


@dataclass(frozen=True, kw_only=True)
class Tally:
    """How many party runs are in each state; `waiting` if any of them said what it waits for.

    The coordinator is among them; `coordinator` says in which state, None where there is none.
    """

    states: Mapping[PartyRunState, int]
    waiting: bool = False
    coordinator: PartyRunState | None = None

    def count(self, *states: PartyRunState) -> int:
        """How many are in one of `states`."""
        return sum(self.states.get(state, 0) for state in states)

    def parties(self, *states: PartyRunState) -> int:
        """How many parties are in one of `states`."""
        return self.count(*states) - (self.coordinator in states)

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(self.states.values())

    @property
    def final(self) -> int:
        """How many have ended."""
        return sum(count for state, count in self.states.items() if is_final(state))

    @property
    def coordinator_ended(self) -> bool:
        """Whether there is a coordinator and it has ended."""
        return self.coordinator is not None and is_final(self.coordinator)

    @property
    def parties_ended(self) -> bool:
        """Whether every party has ended."""
        parties = self.total - (self.coordinator is not None)
        return self.final - self.coordinator_ended == parties


def fold(facts: RunFacts, tally: Tally) -> RunFacts:
    """Return what the run's facts should become; equal to `facts` when nothing changes."""
    desired, cause = _next_desired(facts, tally)
    return replace(facts, status=_status(facts, cause, tally), desired=desired, cause=cause)


def _next_desired(facts: RunFacts, tally: Tally) -> tuple[Desired, Reason]:
    if facts.desired is Desired.RUNNING:
        cause = _why_to_stop(facts.coordination, tally)
        return (facts.desired, facts.cause) if cause is Reason.NONE else (Desired.STOPPED, cause)
    if facts.desired is Desired.STOPPED:
        return facts.desired, facts.cause
    if tally.final:
        return Desired.STOPPED, Reason.START_ROLLED_BACK
    if tally.count(PartyRunState.PREPARED) == tally.total:
        return Desired.RUNNING, Reason.NONE
    return facts.desired, facts.cause


def _why_to_stop(coordination: Coordination, tally: Tally) -> Reason:
    """Return why members that still run have nothing to run for, NONE where they have."""
    if coordination is Coordination.NONE or tally.final == tally.total:
        return Reason.NONE
    if coordination is Coordination.DECIDES:
        return Reason.COORDINATOR_ENDED if tally.coordinator_ended else Reason.NONE
    if coordination is Coordination.AFTER_PARTIES and tally.parties_ended:
        return Reason.PARTIES_ENDED
    # All are needed. Those that are left might wait for ever for the one that is gone.
    did_not_succeed = tally.final - tally.count(PartyRunState.SUCCEEDED)
    return Reason.PEER_FAILED if did_not_succeed else Reason.NONE


def _status(facts: RunFacts, cause: Reason, tally: Tally) -> RunStatus:
    if is_final_status(facts.status):
        return facts.status
    if tally.final == tally.total:
        return _outcome(facts.coordination, cause, tally)
    if tally.count(PartyRunState.LOST):
        return RunStatus.UNKNOWN
    if not tally.count(*_NOT_YET_RUNNING):
        return RunStatus.RUNNING
    untouched = tally.count(PartyRunState.PENDING) == tally.total and not tally.waiting
    if untouched and facts.status is RunStatus.STARTED:
        return RunStatus.STARTED
    return RunStatus.PENDING


def _outcome(coordination: Coordination, cause: Reason, tally: Tally) -> RunStatus:
    if cause is Reason.STOPPED_BY_USER:
        return RunStatus.CANCELLED
    return RunStatus.SUCCEEDED if _succeeded(coordination, cause, tally) else RunStatus.FAILED


def _succeeded(coordination: Coordination, cause: Reason, tally: Tally) -> bool:
    if coordination is Coordination.DECIDES:
        return tally.coordinator is PartyRunState.SUCCEEDED
    if cause is Reason.PEER_FAILED:
        # Also where those that were to be stopped had ended well before that reached them.
        return False
    if coordination is Coordination.AFTER_PARTIES:
        return tally.parties(PartyRunState.SUCCEEDED) == tally.total - 1
    return tally.count(PartyRunState.SUCCEEDED) == tally.total
