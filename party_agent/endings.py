"""How a party run ended, read off what the runtime saw; and how every move changes a unit."""

import signal
from dataclasses import replace
from datetime import datetime

from flow_contract.lifecycle import PARTY_RUN_MOVES, PartyRunEvent, PartyRunState, next_state
from flow_contract.reasons import Reason, sentence
from party_agent.runtime.port import Observation, RuntimeRefused
from party_agent.unit import Unit

_FIRST_SIGNAL_EXIT = 129
_LAST_SIGNAL_EXIT = 128 + 64
# Missing or not executable, as shells, init processes and engines all report it.
_COMMAND_NOT_FOUND_EXITS = (126, 127)

# A site that can't or won't is a refusal; anything else that goes wrong is a failure.
SITE_SIDE = frozenset(
    {
        Reason.IMAGE_NOT_FOUND,
        Reason.IMAGE_PULL_FAILED,
        Reason.GPU_UNAVAILABLE,
        Reason.RESOURCES_UNAVAILABLE,
        Reason.DATA_UNKNOWN,
        Reason.DATA_OUTSIDE_ROOTS,
        Reason.POLICY_DENIED,
    }
)

WAITING_FOR_APPROVAL = "Waiting for approval at the site."
RUNTIME_SILENT = "The site's container runtime does not answer; its agent keeps trying."


def moved(unit: Unit, event: PartyRunEvent, now: datetime) -> Unit:
    """Return the unit after `event`, with nothing left of an earlier wait.

    Raises:
        IllegalMove: the unit's state does not know the event.
    """
    status = replace(
        unit.status,
        state=next_state(unit.status.state, event),
        reason=Reason.NONE,
        message="",
        observed_at=now,
    )
    return replace(unit, status=status, failures=0)


def noted(unit: Unit, reason: Reason, message: str, now: datetime) -> Unit:
    """Return the unit with another reason to wait, itself where that is no news."""
    if (unit.status.reason, unit.status.message) == (reason, message):
        return unit
    return replace(
        unit, status=replace(unit.status, reason=reason, message=message, observed_at=now)
    )


def unanswered(unit: Unit, now: datetime) -> Unit:
    """Return the unit after a call that the runtime could not answer: never an end by itself."""
    counted = replace(unit, failures=unit.failures + 1)
    return counted if unit.is_final else noted(counted, Reason.RUNTIME_ERROR, RUNTIME_SILENT, now)


def answered(unit: Unit, now: datetime) -> Unit:
    """Return the unit after a call that brought no news."""
    if unit.status.reason is Reason.RUNTIME_ERROR and not unit.is_final:
        unit = noted(unit, Reason.NONE, "", now)
    return replace(unit, failures=0)


def refused(unit: Unit, refusal: RuntimeRefused, now: datetime) -> Unit:
    """Return the unit after a refusal by the site's rules, its GPUs or its runtime."""
    may_refuse = PartyRunEvent.REFUSE in PARTY_RUN_MOVES[unit.status.state]
    site_side = refusal.reason in SITE_SIDE or unit.status.state is PartyRunState.PENDING
    event = PartyRunEvent.REFUSE if may_refuse and site_side else PartyRunEvent.FAIL
    return _ended(
        moved(unit, event, now),
        refusal.reason,
        refusal.message or sentence(refusal.reason),
        finished_at=now,
        exit_code=refusal.exit_code,
    )


def started(unit: Unit, seen: Observation, now: datetime) -> Unit:
    """Return the unit of a workload whose first instruction has run."""
    after = moved(unit, PartyRunEvent.STARTED, now)
    status = replace(
        after.status,
        started_at=seen.started_at or now,
        image_digest=seen.image_digest or after.status.image_digest,
    )
    return replace(after, status=status)


def exited(unit: Unit, seen: Observation, now: datetime) -> Unit:
    """Return the unit of a workload that ended by itself."""
    reason, message = explain_exit(seen, command=next(iter(unit.spec.command), ""))
    event = PartyRunEvent.EXITED_ZERO if reason is Reason.COMPLETED else PartyRunEvent.FAIL
    return _ended(
        moved(unit, event, now),
        reason,
        message,
        finished_at=seen.finished_at or now,
        exit_code=seen.exit_code,
    )


def vanished(unit: Unit, now: datetime) -> Unit:
    """Return the unit of a workload that ran and is not there any more."""
    after = moved(unit, PartyRunEvent.FAIL, now)
    reason = Reason.WORKLOAD_VANISHED
    return _ended(after, reason, sentence(reason), finished_at=now, exit_code=None)


def stopped(unit: Unit, seen: Observation | None, now: datetime) -> Unit:
    """Return the unit after a stop; `seen` is how the workload ended, None if it never ran."""
    cause = unit.cause if unit.cause is not Reason.NONE else Reason.STOPPED_BY_USER
    if unit.cut is not Reason.NONE:
        cause = unit.cut
    # Too slow is the workload's own failure; a stop is nobody's.
    event = PartyRunEvent.FAIL if unit.cut is Reason.TIMED_OUT else PartyRunEvent.STOP
    exit_code = seen.exit_code if seen is not None else None
    message = sentence(cause)
    if exit_code is not None:
        message += f" It ended with exit code {exit_code}."
    return _ended(
        moved(unit, event, now),
        cause,
        message,
        finished_at=(seen.finished_at if seen is not None else None) or now,
        exit_code=exit_code,
    )


def explain_exit(seen: Observation, *, command: str = "") -> tuple[Reason, str]:
    """Return why a workload ended by itself, with one sentence; `command` is what it was told."""
    code = seen.exit_code
    if code is None:
        return Reason.WORKLOAD_VANISHED, sentence(Reason.WORKLOAD_VANISHED)
    if code == 0:
        detail = "A process inside was killed for using too much memory" if seen.oom_killed else ""
        return Reason.COMPLETED, sentence(Reason.COMPLETED, detail)
    if seen.oom_killed:
        return Reason.OOM_KILLED, sentence(Reason.OOM_KILLED, f"Exit code {code}")
    if _FIRST_SIGNAL_EXIT <= code <= _LAST_SIGNAL_EXIT:
        detail = f"Exit code {code}: {_signal_name(code - 128)}"
        return Reason.KILLED_BY_SIGNAL, sentence(Reason.KILLED_BY_SIGNAL, detail)
    if code in _COMMAND_NOT_FOUND_EXITS:
        # Whether it failed before or after the start call returned is chance; the name isn't.
        detail = f"Exit code {code} of {command!r}" if command else f"Exit code {code}"
        return Reason.COMMAND_NOT_FOUND, sentence(Reason.COMMAND_NOT_FOUND, detail)
    return Reason.EXIT_NONZERO, sentence(Reason.EXIT_NONZERO, f"Exit code {code}")


def _ended(
    unit: Unit, reason: Reason, message: str, *, finished_at: datetime, exit_code: int | None
) -> Unit:
    status = replace(
        unit.status,
        reason=reason,
        message=message,
        finished_at=finished_at,
        exit_code=exit_code,
    )
    return replace(unit, status=status)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
