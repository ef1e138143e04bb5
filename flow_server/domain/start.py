"""What a start puts down: the snapshot and one party run per party, decided in one place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flow_contract.errors import Conflict, Kind, PartyUnavailable
from flow_contract.lifecycle import Desired, PartyRunState, RunStatus
from flow_contract.reasons import Reason, sentence
from flow_contract.runs import Snapshot
from flow_contract.tasks import PartyData, StartParameters, TaskSpec
from flow_contract.templates import Template

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
    connected: Mapping[str, bool],
) -> StartPlan:
    """Decide how a start begins.

    `connected` holds every known party of the task. A party that the server has never seen
    refuses the start at once; the attempt is kept, with each party's reason, because the one
    who asked needs to see which party it was.

    Raises:
        Conflict: the task names no party.
    """
    if not task.federate_data:
        raise Conflict("the task names no party; add at least one to federate_data", kind=Kind.TASK)
    unknown = [p.federated_id for p in task.federate_data if p.federated_id not in connected]
    snapshot = _snapshot(template, parameters)
    if unknown:
        return _refused(task.federate_data, snapshot, unknown)
    party_runs = tuple(
        _waiting(party, is_connected=connected[party.federated_id]) for party in task.federate_data
    )
    all_connected = all(connected[party.federated_id] for party in task.federate_data)
    return StartPlan(
        snapshot=snapshot,
        status=RunStatus.STARTED if all_connected else RunStatus.PENDING,
        desired=Desired.PREPARED,
        cause=Reason.NONE,
        message="",
        party_runs=party_runs,
        refusal=None,
    )


def _snapshot(template: Template, parameters: StartParameters) -> Snapshot:
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


def _refused(parties: Sequence[PartyData], snapshot: Snapshot, unknown: Sequence[str]) -> StartPlan:
    names = ", ".join(unknown[:_NAMED]) + (" and others" if len(unknown) > _NAMED else "")
    message = f"task party not found: {names}"
    missing = frozenset(unknown)
    party_runs = []
    for party in parties:
        is_unknown = party.federated_id in missing
        reason = Reason.PARTY_UNKNOWN if is_unknown else Reason.START_ROLLED_BACK
        party_runs.append(
            NewPartyRun(
                federated_id=party.federated_id,
                federated_data=party.federated_data,
                state=PartyRunState.REFUSED if is_unknown else PartyRunState.STOPPED,
                reason=reason,
                message=sentence(reason),
            )
        )
    return StartPlan(
        snapshot=snapshot,
        status=RunStatus.FAILED,
        desired=Desired.STOPPED,
        cause=Reason.START_ROLLED_BACK,
        message=message,
        party_runs=tuple(party_runs),
        refusal=PartyUnavailable(
            f"{message}; no party of this id has ever connected",
            kind=Kind.PARTY,
            subject_id=unknown[0],
            field="federate_data",
        ),
    )
