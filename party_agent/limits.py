"""Pure: when this agent ends a running workload by itself, with or without the server."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from flow_contract.lifecycle import PartyRunState
from flow_contract.reasons import Reason
from party_agent.unit import Unit


@dataclass(frozen=True, kw_only=True)
class Limit:
    """The moment at which a workload must end, and what the end is called then."""

    at: datetime
    reason: Reason


def first_limit(
    unit: Unit, lost_at: datetime | None, *, max_run_time_s: int | None = None
) -> Limit | None:
    """Return the first limit of a workload that runs and that nobody is ending yet.

    `lost_at` says since when there has been no session with the server; None, that there is one.
    `max_run_time_s` is the site's own limit, beside which a template's can only be shorter.
    """
    if unit.status.state is not PartyRunState.RUNNING or unit.is_to_stop:
        return None
    timeouts_s = [each for each in (unit.spec.run_timeout_s, max_run_time_s) if each is not None]
    timeout_s, started_at = min(timeouts_s, default=None), unit.status.started_at
    stop_after_s = unit.spec.on_disconnect.stop_after_s
    limits = []
    if timeout_s is not None and started_at is not None:
        limits.append(_limit(started_at, timeout_s, Reason.TIMED_OUT))
    if stop_after_s is not None and lost_at is not None:
        limits.append(_limit(lost_at, stop_after_s, Reason.SITE_DISCONNECTED))
    return min(limits, key=lambda limit: limit.at, default=None)


def _limit(since: datetime, after_s: int, reason: Reason) -> Limit:
    return Limit(at=since + timedelta(seconds=after_s), reason=reason)
