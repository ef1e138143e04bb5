"""Assignments that this agent does not understand: refused with the reason, never dropped."""

from dataclasses import dataclass
from datetime import datetime

from flow_contract.assignments import Assignment, WorkloadSpec
from flow_contract.lifecycle import Desired
from flow_contract.reasons import Reason, sentence
from party_agent import endings
from party_agent.runtime.port import RuntimeRefused
from party_agent.unit import Unit, new_unit


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """The party run that one was about, and why it is not understood."""

    party_run_id: str
    message: str


def refused_unit(problem: Unreadable, now: datetime) -> Unit:
    """Return a unit that has ended and only waits to be reported."""
    spec = WorkloadSpec(
        party_run_id=problem.party_run_id,
        run_id="",
        task_id="",
        order=0,
        federated_id="",
        rank=0,
        parties=(),
        image_url="",
    )
    why = f"This site's agent does not understand the assignment ({problem.message})"
    reason = Reason.RUNTIME_ERROR
    unit = new_unit(Assignment(spec=spec, desired=Desired.STOPPED), now)
    return endings.refused(unit, RuntimeRefused(reason, sentence(reason, why)), now)
