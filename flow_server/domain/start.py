"""What a start puts down: the snapshot and one party run per party, decided in one place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flow_contract.errors import Conflict, Kind, PartyUnavailable
from flow_contract.lifecycle import Desired, PartyRunState, RunStatus
from flow_contract.reasons import Reason, sentence
from flow_contract.runs import Snapshot
from flow_contract.tasks import PartyData, StartParameters, TaskSpec
from flow_contract.templates import Template

_REFUSALS = {
    Reason.PARTY_UNKNOWN: "task party not found",
    Reason.PARTY_DRAINING: "task party takes no new work",
}

# An error names this many parties; the run's party status names them all.
_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class Presence:
    """How a known party can take part."""

    connected: bool
    draining: bool = False


@dataclass(frozen=True, kw_only=True)
class NewPartyRun:
    """One party run as it is first stored; its rank is its place in the plan."""

    federated_id: str
    federated_data: str
    state: PartyRunState
    reason: Reason
    message: str


@dataclass(frozen=True, kw_only=True)
class StartPlan:
    """A run as it is first stored. `refusal` is raised after the plan has been stored."""

    snapshot: Snapshot
    status: RunStatus
    desired: Desired
    cause: Reason
    message: str
    party_runs: tuple[NewPartyRun, ...]
    refusal: PartyUnavailable | None


def plan_start(
    *,
    task: TaskSpec,
    template: Template,
    parameters: StartParameters,
    present: Mapping[str, Presence],
) -> StartPlan:
    """Decide how a start begins.

    `present` holds every known party of the task. A party that the server has never seen, or
    that takes no new work, refuses the start at once; the attempt is kept, with each party's
    reason, because the one who asked needs to see which party it was.

    Raises:
        Conflict: the task names no party.
    """
    if not task.federate_data:
        raise Conflict("the task names no party; add at least one to federate_data", kind=Kind.TASK)
    return plan_run(task.federate_data, snapshot_of(template, parameters), present)


def plan_run(
    parties: Sequence[PartyData], snapshot: Snapshot, present: Mapping[str, Presence]
) -> StartPlan:
    """Decide how a run of `snapshot` over `parties` begins; see `plan_start`."""
    absent = {
        party.federated_id: reason
        for party in parties
        if (reason := _why_not(present.get(party.federated_id))) is not None
    }
    if absent:
        return _refused(parties, snapshot, absent)
    party_runs = tuple(
        _waiting(party, is_connected=present[party.federated_id].connected) for party in parties
    )
    all_connected = all(present[party.federated_id].connected for party in parties)
    return StartPlan(
        snapshot=snapshot,
        status=RunStatus.STARTED if all_connected else RunStatus.PENDING,
        desired=Desired.PREPARED,
        cause=Reason.NONE,
        message="",
        party_runs=party_runs,
        refusal=None,
    )


def snapshot_of(template: Template, parameters: StartParameters) -> Snapshot:
    """Return what a run of the template with these parameters is started with."""
    own = template.spec.hyper_parameter or ()
    return Snapshot(
        template_id=template.template_id,
        template=template.spec,
        epochs=parameters.epochs,
        hyper_parameter=own if parameters.hyper_parameter is None else parameters.hyper_parameter,
        enable_smpc=parameters.enable_smpc,
    )


def _waiting(party: PartyData, *, is_connected: bool) -> NewPartyRun:
    reason = Reason.NONE if is_connected else Reason.WAITING_FOR_CONNECTION
    return NewPartyRun(
        federated_id=party.federated_id,
        federated_data=party.federated_data,
        state=PartyRunState.PENDING,
        reason=reason,
        message=sentence(reason),
    )


def _why_not(presence: Presence | None) -> Reason | None:
    if presence is None:
        return Reason.PARTY_UNKNOWN
    return Reason.PARTY_DRAINING if presence.draining else None


def _refused(
    parties: Sequence[PartyData], snapshot: Snapshot, absent: Mapping[str, Reason]
) -> StartPlan:
    names = list(absent)
    reason = absent[names[0]]
    alike = [name for name in names if absent[name] is reason]
    shown = ", ".join(alike[:_NAMED]) + (" and others" if len(alike) > _NAMED else "")
    message = f"{_REFUSALS[reason]}: {shown}"
    party_runs = tuple(_left_out(party, absent.get(party.federated_id)) for party in parties)
    return StartPlan(
        snapshot=snapshot,
        status=RunStatus.FAILED,
        desired=Desired.STOPPED,
        cause=Reason.START_ROLLED_BACK,
        message=message,
        party_runs=party_runs,
        refusal=PartyUnavailable(
            f"{message}. {sentence(reason)}",
            kind=Kind.PARTY,
            subject_id=names[0],
            field="federate_data",
        ),
    )


def _left_out(party: PartyData, why_not: Reason | None) -> NewPartyRun:
    reason = why_not or Reason.START_ROLLED_BACK
    return NewPartyRun(
        federated_id=party.federated_id,
        federated_data=party.federated_data,
        state=PartyRunState.REFUSED if why_not else PartyRunState.STOPPED,
        reason=reason,
        message=sentence(reason),
    )
