"""Whether a run that failed is started again, and when. Pure: facts in, decision out."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from flow_contract.coordination import RunRole
from flow_contract.lifecycle import PartyRunState
from flow_contract.reasons import INFRASTRUCTURE, Reason
from flow_contract.template_checks import MAX_DEADLINE_S
from flow_contract.templates import RetryPolicy
from flow_server.domain.coordination import Coordination

# What the workload itself brought about; repeated only where the template says so.
WORKLOAD: frozenset[Reason] = frozenset(
    {Reason.EXIT_NONZERO, Reason.KILLED_BY_SIGNAL, Reason.OOM_KILLED, Reason.TIMED_OUT}
)

# Ended because of somebody else, so these say nothing about why the run failed.
NOT_OF_ITSELF = frozenset(
    {
        Reason.START_ROLLED_BACK,
        Reason.STOPPED_BY_USER,
        Reason.PEER_FAILED,
        Reason.PARTIES_ENDED,
        Reason.COORDINATOR_ENDED,
    }
)


@dataclass(frozen=True, kw_only=True)
class End:
    """How one party run ended."""

    state: PartyRunState
    reason: Reason
    role: RunRole = RunRole.PARTY


def retry_after_s(
    policy: RetryPolicy,
    *,
    retries_made: int,
    ends: Collection[End],
    coordination: Coordination = Coordination.NONE,
) -> float | None:
    """Return in how many seconds a failed run is started again, None if it isn't.

    It is if every member that ended badly of itself did so for a reason that may pass, and the
    chain of repeats is not at its limit. Where the coordinator decides and ended badly of itself,
    only its reason counts. Each pause is twice the one before, a week at most.
    """
    bad = [
        end
        for end in ends
        if end.state is not PartyRunState.SUCCEEDED and end.reason not in NOT_OF_ITSELF
    ]
    if coordination is Coordination.DECIDES:
        bad = [end for end in bad if end.role is RunRole.COORDINATOR] or bad
    faults = {end.reason for end in bad}
    passing = INFRASTRUCTURE | WORKLOAD if policy.on_nonzero_exit else INFRASTRUCTURE
    if retries_made >= policy.max_retries or not faults or not faults <= passing:
        return None
    return min(float(policy.backoff_s) * 2.0**retries_made, float(MAX_DEADLINE_S))


def announcement(retry_at: datetime, message: str) -> str:
    """Return what a task says while a retry is due; `message` says how the run failed."""
    when = retry_at.strftime("%Y-%m-%d %H:%M:%S")
    return f"Will be started again at {when} UTC. The last run failed: {message}"
