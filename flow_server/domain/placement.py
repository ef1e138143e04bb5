"""Who can take part in a run, and where its coordinator goes. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flow_contract.coordination import COORDINATOR_NAME
from flow_contract.errors import Conflict, Kind
from flow_contract.reasons import Reason
from flow_contract.tasks import PartyData
from flow_contract.templates import TemplateSpec

# Each member of a mesh is told of all the others.
MAX_MESH_MEMBERS = 256


@dataclass(frozen=True, kw_only=True)
class Presence:
    """How a known party can take part. `coordinates`: its agent was started to do that."""

    connected: bool
    draining: bool = False
    coordinates: bool = False


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a coordinator goes, and why it can't; then `federated_id` may be ""."""

    federated_id: str
    why_not: Reason | None


def why_not(presence: Presence | None) -> Reason | None:
    """Return why a party can't take part, None if it can. Unknown ones have no presence."""
    if presence is None:
        return Reason.PARTY_UNKNOWN
    return Reason.PARTY_DRAINING if presence.draining else None


def coordinator_place(template: TemplateSpec, present: Mapping[str, Presence]) -> Place | None:
    """Return where the template's coordinator goes, None where it has none.

    If the template names no party it goes to the first of those that coordinate: one that is
    connected, or else one that has until the start deadline to come back.
    """
    if template.coordinator is None:
        return None
    if named := template.coordinator.party:
        return Place(federated_id=named, why_not=why_not(present.get(named)))
    able = [
        (not presence.connected, federated_id)
        for federated_id, presence in present.items()
        if presence.coordinates and not presence.draining
    ]
    if not able:
        return Place(federated_id="", why_not=Reason.NO_COORDINATING_AGENT)
    return Place(federated_id=min(able)[1], why_not=None)


def check_members(parties: Sequence[PartyData], template: TemplateSpec) -> None:
    """Accept parties that can be told apart, and no more of them than can be in one mesh.

    Raises:
        Conflict: says what to change.
    """
    members = len(parties) + (template.coordinator is not None)
    if template.mesh and members > MAX_MESH_MEMBERS:
        raise Conflict(
            f"the run would have {members} members, and {MAX_MESH_MEMBERS} at most can be in one "
            "mesh; start it with fewer parties, or leave mesh out of the template and let them "
            "talk to a coordinator",
            kind=Kind.TASK,
            field="mesh",
        )
    if template.coordinator is not None and any(
        party.federated_id == COORDINATOR_NAME for party in parties
    ):
        raise Conflict(
            f"a party with the id {COORDINATOR_NAME!r} can't be told from the run's coordinator; "
            "leave it out, or let that site enrol under another id",
            kind=Kind.TASK,
            field="federate_data",
        )
