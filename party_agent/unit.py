"""One party run as its agent knows it: what was asked, how far it got, what is still to do.

A unit is a value: each step makes a new one, the journal stores it whole, and its report is
read off it.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from flow_contract.assignments import Assignment, Report, WorkloadSpec
from flow_contract.coordination import PeerProgress, Traffic
from flow_contract.lifecycle import Desired, PartyRunState, is_final, may_desire
from flow_contract.reasons import Reason


class StopStage(StrEnum):
    """How far a stop that reached a launched workload got."""

    NONE = "none"
    # It was still running when the stop came, so its end is the stop's doing.
    ASKED = "asked"
    ENDED = "ended"


@dataclass(frozen=True, kw_only=True)
class Status:
    """What the server is told. Every field is the newest known value; times are aware UTC."""

    state: PartyRunState = PartyRunState.PENDING
    reason: Reason = Reason.NONE
    message: str = ""
    exit_code: int | None = None
    gpu_ids: tuple[str, ...] = ()
    image_digest: str = ""
    observed_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class SelfReport:
    """What a workload says of itself; None and empty while it has said nothing."""

    current_epoch: int | None = None
    total_epoch: int | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One party run at this site.

    `sequence` counts its reports, `acked` is the newest that the server has stored; units that
    differ in it alone are equal, for it is worth no write of its own.
    `cut` is why this agent ends it by itself, NONE while it does not; set once, and then what
    anybody else wants comes too late.
    `traceparent` is the trace of the run's start, empty where it is not traced.
    `sources` are the real paths that were mounted when it was prepared; None if it never was.
    `waits_since` is when it first waited for its coordinator to listen, None if it never did.
    `traffic` is what it and its peers have said to each other, as far as it was passed on.
    `peer_progress` is what a coordinator says of the parties, as far as it was passed on.
    `says` is what the workload has reported of itself, as far as it was passed on.
    `removed`: the runtime holds nothing of it any more, which is what frees its GPUs.
    `abandoned`: the server no longer names it, so nobody waits for its last report.
    `failures` counts calls in a row that the runtime could not answer; not journaled.
    """

    spec: WorkloadSpec
    desired: Desired
    cause: Reason = Reason.NONE
    traceparent: str = ""
    status: Status
    cut: Reason = Reason.NONE
    stop_stage: StopStage = StopStage.NONE
    sources: tuple[str, ...] | None = None
    waits_since: datetime | None = None
    traffic: tuple[Traffic, ...] = ()
    peer_progress: tuple[PeerProgress, ...] = ()
    says: SelfReport = SelfReport()
    removed: bool = False
    abandoned: bool = False
    sequence: int = 0
    acked: int = field(default=0, compare=False)
    failures: int = field(default=0, compare=False)

    @property
    def party_run_id(self) -> str:
        """The id under which server, journal and runtime know it."""
        return self.spec.party_run_id

    @property
    def is_final(self) -> bool:
        """Whether the workload's story is over; it may still have to be removed and reported."""
        return is_final(self.status.state)

    @property
    def is_to_stop(self) -> bool:
        """Whether the server wants it stopped, or this agent by itself."""
        return self.desired is Desired.STOPPED or self.cut is not Reason.NONE

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do, so that the unit can be forgotten."""
        return self.is_final and self.removed and (self.abandoned or self.acked >= self.sequence)


def new_unit(assignment: Assignment, now: datetime) -> Unit:
    """Return a unit that nothing has happened to yet."""
    return Unit(
        spec=assignment.spec,
        desired=assignment.desired,
        cause=assignment.cause,
        traceparent=assignment.traceparent,
        status=Status(observed_at=now),
    )


def with_desired(unit: Unit, desired: Desired, cause: Reason) -> Unit:
    """Return the unit with a desired side that moved to the right, itself where it would not."""
    if not may_desire(unit.desired, desired):
        return unit
    return replace(unit, desired=desired, cause=cause)


def report_of(unit: Unit) -> Report:
    """Return what the server is to be told of the unit."""
    status = unit.status
    return Report(
        party_run_id=unit.party_run_id,
        sequence=unit.sequence,
        state=status.state,
        reason=status.reason,
        message=status.message,
        exit_code=status.exit_code,
        gpu_ids=status.gpu_ids,
        image_digest=status.image_digest,
        observed_at=status.observed_at,
        started_at=status.started_at,
        finished_at=status.finished_at,
        current_epoch=unit.says.current_epoch,
        total_epoch=unit.says.total_epoch,
        note=unit.says.note,
        traffic=unit.traffic,
        peer_progress=unit.peer_progress,
    )
