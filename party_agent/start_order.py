"""Who waits for whom at a start: a party for its run's coordinator, and not for ever."""

from dataclasses import replace
from datetime import datetime, timedelta

from flow_contract.lifecycle import PartyRunState
from flow_contract.reasons import Reason, sentence
from party_agent import endings
from party_agent.runtime.port import RuntimeRefused
from party_agent.unit import Unit


def awaiting_coordinator(unit: Unit, now: datetime) -> Unit:
    """Return the unit that waits visibly, from the first time on that it had to.

    Raises:
        RuntimeRefused: it has waited for as long as its template says.
    """
    since = unit.waits_since or now
    unit = replace(unit, waits_since=since, failures=0)
    if not left_s(unit, now):
        reason = Reason.COORDINATOR_UNREACHABLE
        raise RuntimeRefused(reason, sentence(reason))
    reason = Reason.WAITING_FOR_COORDINATOR
    return endings.noted(unit, reason, sentence(reason), now)


def left_s(unit: Unit, now: datetime) -> float | None:
    """Return how long a unit that waits for its coordinator may go on to; None if it does not."""
    if unit.waits_since is None or unit.status.state is not PartyRunState.PREPARED:
        return None
    end = unit.waits_since + timedelta(seconds=unit.spec.connect_timeout_s)
    return max(0.0, (end - now).total_seconds())
