"""What a start puts down: the snapshot and a party run per member, decided in one place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flow_contract.coordination import RunRole
from flow_contract.errors import Conflict, Kind, PartyUnavailable
from flow_contract.lifecycle import Desired, PartyRunState, RunStatus
from flow_contract.reasons import Reason, sentence
from flow_contract.runs import Snapshot
from flow_contract.tasks import PartyData, StartParameters, TaskSpec
from flow_contract.templates import Template
from flow_server.domain.placement import (
    Place,
    Presence,
    check_members,
    coordinator_place,
    why_not,
)

_REFUSALS = {
    Reason.PARTY_UNKNOWN: "task party not found",
    Reason.PARTY_DRAINING: "task party takes no new work",
}
_COORDINATOR_REFUSALS = {
    Reason.PARTY_UNKNOWN: "the coordinator's party not found",
    Reason.PARTY_DRAINING: "the coordinator's party takes no new work",
    Reason.NO_COORDINATING_AGENT: "no place for the coordinator",
}
# What a start is refused with at once.
REFUSALS = frozenset(_COORDINATOR_REFUSALS)

# An error names this many parties; the run's party status names them all.
_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class NewPartyRun:
    """One party run as it is first stored; its rank is its place in the plan."""

    federated_id: str
    federated_data: str
    state: PartyRunState
    reason: Reason
    message: str
    role: RunRole = RunRole.PARTY


@dataclass(frozen=True, kw_only=True)
class StartPlan:
    """A run as it is first stored: the parties by rank, then the coordinator, if it has one.

    `refusal` is raised after the plan has been stored.
    """

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

    `present` holds every known party of the task, the one that the coordinator is to be put at,
    and, where the template names none, all whose agents coordinate. A party that the server has
    never seen, or that takes no new work, refuses the start at once; the attempt is kept, with
    each party's reason, because the one who asked needs to see which party it was.

    Raises:
        Conflict: the task names no party, more than can be in one mesh, or one that would be
            mixed up with the coordinator.
    """
    if not task.federate_data:
        raise Conflict("the task names no party; add at least one to federate_data", kind=Kind.TASK)
    check_members(task.federate_data, template.spec)
    return plan_run(task.federate_data, snapshot_of(template, parameters), present)


def plan_run(
    parties: Sequence[PartyData], snapshot: Snapshot, present: Mapping[str, Presence]
) -> StartPlan:
    """Decide how a run of `snapshot` over `parties` begins; see `plan_start`."""
    absent = {
        party.federated_id: reason
        for party in parties
        if (reason := why_not(present.get(party.federated_id))) is not None
    }
    place = coordinator_place(snapshot.template, present)
    if absent or (place is not None and place.why_not is not None):
        return _refused(parties, snapshot, absent, place)
    party_runs = tuple(
        _waiting(party, is_connected=present[party.federated_id].connected) for party in parties
    )
    all_connected = all(present[party.federated_id].connected for party in parties)
    if place is not None:
        is_connected = present[place.federated_id].connected
        coordinator = _waiting(
            _share_of(place), is_connected=is_connected, role=RunRole.COORDINATOR
        )
        party_runs = (*party_runs, coordinator)
        all_connected = all_connected and is_connected
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


def _share_of(place: Place) -> PartyData:
    """Return a coordinator as who takes part; the data of a site are the parties'."""
    return PartyData(federated_id=place.federated_id, federated_data="")


def _waiting(party: PartyData, *, is_connected: bool, role: RunRole = RunRole.PARTY) -> NewPartyRun:
    reason = Reason.NONE if is_connected else Reason.WAITING_FOR_CONNECTION
    return NewPartyRun(
        federated_id=party.federated_id,
        federated_data=party.federated_data,
        state=PartyRunState.PENDING,
        reason=reason,
        message=sentence(reason),
        role=role,
    )


def _refused(
    parties: Sequence[PartyData],
    snapshot: Snapshot,
    absent: Mapping[str, Reason],
    place: Place | None,
) -> StartPlan:
    party_runs = tuple(_left_out(party, absent.get(party.federated_id)) for party in parties)
    if place is not None:
        coordinator = _left_out(_share_of(place), place.why_not, role=RunRole.COORDINATOR)
        party_runs = (*party_runs, coordinator)
    refusal = _refusal(absent) if absent or place is None else _no_place(place)
    return StartPlan(
        snapshot=snapshot,
        status=RunStatus.FAILED,
        desired=Desired.STOPPED,
        cause=Reason.START_ROLLED_BACK,
        message=refusal.message,
        party_runs=party_runs,
        refusal=PartyUnavailable(
            f"{refusal.message}. {sentence(refusal.reason)}",
            kind=Kind.PARTY,
            subject_id=refusal.federated_id,
            field=refusal.field,
        ),
    )


@dataclass(frozen=True, kw_only=True)
class _Refusal:
    reason: Reason
    message: str
    federated_id: str
    field: str


def _refusal(absent: Mapping[str, Reason]) -> _Refusal:
    names = list(absent)
    reason = absent[names[0]]
    alike = [name for name in names if absent[name] is reason]
    shown = ", ".join(alike[:_NAMED]) + (" and others" if len(alike) > _NAMED else "")
    return _Refusal(
        reason=reason,
        message=f"{_REFUSALS[reason]}: {shown}",
        federated_id=names[0],
        field="federate_data",
    )


def _no_place(place: Place) -> _Refusal:
    reason = place.why_not or Reason.NONE
    named = place.federated_id
    return _Refusal(
        reason=reason,
        message=_COORDINATOR_REFUSALS[reason] + (f": {named}" if named else ""),
        federated_id=named,
        field="coordinator.party",
    )


def _left_out(
    party: PartyData, cause: Reason | None, *, role: RunRole = RunRole.PARTY
) -> NewPartyRun:
    reason = cause or Reason.START_ROLLED_BACK
    return NewPartyRun(
        federated_id=party.federated_id,
        federated_data=party.federated_data,
        state=PartyRunState.REFUSED if cause else PartyRunState.STOPPED,
        reason=reason,
        message=sentence(reason),
        role=role,
    )
