"""All legal moves of a party run and of a run.

Two rules of the house: everything that knows which state may follow which is in this file,
and this file does not know who asks. Code asks the tables; nobody compares states by hand.

A party run has two sides. `Desired` is written only by a user's command or by the server
acting for the user; `PartyRunState` is what its agent observed. A report may skip states
(an agent that was cut off reports only the newest), so a report is accepted when its state
can be reached from the stored one; anything else is late, and ignored.
"""

import enum


class PartyRunState(enum.StrEnum):
    """What is known of one party's share of a run."""

    PENDING = "pending"
    PREPARING = "preparing"
    PREPARED = "prepared"
    LAUNCHING = "launching"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    REFUSED = "refused"
    LOST = "lost"


class PartyRunEvent(enum.StrEnum):
    """What may happen to a party run."""

    PREPARE = "prepare"
    PREPARED = "prepared"
    LAUNCH = "launch"
    STARTED = "started"
    EXITED_ZERO = "exited_zero"
    FAIL = "fail"
    STOP = "stop"
    REFUSE = "refuse"
    LEASE_EXPIRED = "lease_expired"


class Desired(enum.StrEnum):
    """How far a party run should go. It only ever moves to the right."""

    PREPARED = "prepared"
    RUNNING = "running"
    STOPPED = "stopped"


class RunStatus(enum.StrEnum):
    """A run's status, as FlowServerSdk users know it. A task that never ran has none."""

    STARTED = "Started"
    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    UNKNOWN = "Unknown"
    CANCELLED = "Cancelled"


class IllegalMove(ValueError):
    """An event that the state does not know; the message names both."""


_S = PartyRunState
_E = PartyRunEvent

PARTY_RUN_MOVES: dict[PartyRunState, dict[PartyRunEvent, PartyRunState]] = {
    _S.PENDING: {
        _E.PREPARE: _S.PREPARING,
        _E.REFUSE: _S.REFUSED,
        _E.STOP: _S.STOPPED,
        _E.LEASE_EXPIRED: _S.LOST,
    },
    _S.PREPARING: {
        _E.PREPARED: _S.PREPARED,
        _E.REFUSE: _S.REFUSED,
        _E.FAIL: _S.FAILED,
        _E.STOP: _S.STOPPED,
        _E.LEASE_EXPIRED: _S.LOST,
    },
    _S.PREPARED: {
        _E.LAUNCH: _S.LAUNCHING,
        _E.REFUSE: _S.REFUSED,
        _E.FAIL: _S.FAILED,
        _E.STOP: _S.STOPPED,
        _E.LEASE_EXPIRED: _S.LOST,
    },
    _S.LAUNCHING: {
        _E.STARTED: _S.RUNNING,
        _E.FAIL: _S.FAILED,
        _E.STOP: _S.STOPPED,
        _E.LEASE_EXPIRED: _S.LOST,
    },
    _S.RUNNING: {
        _E.EXITED_ZERO: _S.SUCCEEDED,
        _E.FAIL: _S.FAILED,
        _E.STOP: _S.STOPPED,
        _E.LEASE_EXPIRED: _S.LOST,
    },
    # A lost party run comes back as what it really is.
    _S.LOST: {
        _E.PREPARE: _S.PREPARING,
        _E.PREPARED: _S.PREPARED,
        _E.LAUNCH: _S.LAUNCHING,
        _E.STARTED: _S.RUNNING,
        _E.EXITED_ZERO: _S.SUCCEEDED,
        _E.FAIL: _S.FAILED,
        _E.STOP: _S.STOPPED,
        _E.REFUSE: _S.REFUSED,
    },
    _S.SUCCEEDED: {},
    _S.FAILED: {},
    _S.STOPPED: {},
    _S.REFUSED: {},
}

_R = RunStatus
_RUN_FINAL = (_R.SUCCEEDED, _R.FAILED, _R.CANCELLED)

# A run's status is folded from its party runs; this table says which folds may follow which.
RUN_MOVES: dict[RunStatus, tuple[RunStatus, ...]] = {
    _R.STARTED: (_R.PENDING, _R.RUNNING, _R.UNKNOWN, *_RUN_FINAL),
    _R.PENDING: (_R.RUNNING, _R.UNKNOWN, *_RUN_FINAL),
    _R.RUNNING: (_R.UNKNOWN, *_RUN_FINAL),
    _R.UNKNOWN: (_R.PENDING, _R.RUNNING, *_RUN_FINAL),
    _R.SUCCEEDED: (),
    _R.FAILED: (),
    _R.CANCELLED: (),
}

DESIRED_MOVES: dict[Desired, tuple[Desired, ...]] = {
    Desired.PREPARED: (Desired.RUNNING, Desired.STOPPED),
    Desired.RUNNING: (Desired.STOPPED,),
    Desired.STOPPED: (),
}


def next_state(state: PartyRunState, event: PartyRunEvent) -> PartyRunState:
    """Return the state that `event` leads to.

    Raises:
        IllegalMove: the state does not know the event.
    """
    try:
        return PARTY_RUN_MOVES[state][event]
    except KeyError:
        raise IllegalMove(f"a party run that is {state} does not know '{event}'") from None


def sources(event: PartyRunEvent) -> tuple[PartyRunState, ...]:
    """Return every state that knows `event`, in table order."""
    return tuple(state for state, moves in PARTY_RUN_MOVES.items() if event in moves)


def is_final(state: PartyRunState) -> bool:
    """Say whether nothing can happen to a party run any more."""
    return not PARTY_RUN_MOVES[state]


def is_final_status(status: RunStatus) -> bool:
    """Say whether a run has ended."""
    return not RUN_MOVES[status]


def _reachable(start: PartyRunState) -> frozenset[PartyRunState]:
    seen: set[PartyRunState] = set()
    frontier = [start]
    while frontier:
        for target in PARTY_RUN_MOVES[frontier.pop()].values():
            # Only the server declares a party run lost, and what is lost is not a stage on the way.
            if target is not _S.LOST and target not in seen:
                seen.add(target)
                frontier.append(target)
    return frozenset(seen)


_REACHABLE = {state: _reachable(state) for state in PartyRunState}


def may_report(stored: PartyRunState, reported: PartyRunState) -> bool:
    """Say whether an agent's report of `reported` is news after `stored`."""
    return reported in _REACHABLE[stored]


def report_moves() -> tuple[tuple[PartyRunState, PartyRunState], ...]:
    """Return every (stored, reported) pair for which `may_report` holds, in table order."""
    return tuple(
        (stored, reported)
        for stored in PartyRunState
        for reported in PartyRunState
        if may_report(stored, reported)
    )


def may_fold(stored: RunStatus, folded: RunStatus) -> bool:
    """Say whether a run's status may change from `stored` to `folded`."""
    return folded in RUN_MOVES[stored]


def may_desire(stored: Desired, wanted: Desired) -> bool:
    """Say whether the desired side may move from `stored` to `wanted`."""
    return wanted in DESIRED_MOVES[stored]
