"""Pure: who meets whom in a run, by what name, and at which ports; held against every offer.

The server says it in the assignment, and the agent keeps to it: a later word of the server opens
nothing more.
"""

from flow_contract.assignments import WorkloadSpec
from flow_contract.coordination import (
    COORDINATOR_NAME,
    Peer,
    PortRange,
    RunRole,
    party_name,
)
from flow_contract.tunnels import Offer
from party_agent.runtime.port import Neighbour

_COORDINATOR_NUMBER = 1
_FIRST_PARTY_NUMBER = 2


def meets(spec: WorkloadSpec) -> bool:
    """Say whether the members of the run meet at all."""
    return bool(spec.coordinator_ports or spec.mesh)


def own_name(spec: WorkloadSpec) -> str:
    """Return by what name the others reach this one, "" where nobody does."""
    if not meets(spec):
        return ""
    if spec.role is RunRole.COORDINATOR:
        return COORDINATOR_NAME
    return party_name(spec.federated_id)


def neighbours_of(spec: WorkloadSpec) -> tuple[Neighbour, ...]:
    """Return whom the workload may dial, itself first; empty where nobody meets."""
    if not meets(spec):
        return ()
    own = Neighbour(
        name=own_name(spec), number=number_of(spec.role, spec.rank), ports=ports_of(spec, spec.role)
    )
    others = (
        Neighbour(
            name=peer.name,
            number=number_of(peer.role, peer.rank),
            ports=ports_of(spec, peer.role),
        )
        for peer in spec.peers
    )
    return (own, *others)


def ports_of(spec: WorkloadSpec, role: RunRole) -> tuple[PortRange, ...]:
    """Return at which ports a member of that role is reached."""
    if role is RunRole.PARTY:
        return spec.mesh
    own = tuple(PortRange(first=port, last=port) for port in spec.coordinator_ports)
    return (*own, *spec.mesh)


def number_of(role: RunRole, rank: int) -> int:
    """Return a member's number, the same at every site."""
    return _COORDINATOR_NUMBER if role is RunRole.COORDINATOR else rank + _FIRST_PARTY_NUMBER


def peer_named(spec: WorkloadSpec, name: str) -> Peer | None:
    """Return the peer of that name."""
    return next((peer for peer in spec.peers if peer.name == name), None)


def coordinator_of(spec: WorkloadSpec) -> Peer | None:
    """Return whom a party waits for before it is launched, if there is a port to ask at."""
    if spec.role is RunRole.COORDINATOR or not spec.coordinator_ports:
        return None
    return next((peer for peer in spec.peers if peer.role is RunRole.COORDINATOR), None)


def peer_of(spec: WorkloadSpec, offer: Offer) -> Peer | str:
    """Return who wants to reach the workload, or why the offer is refused."""
    peer = next((each for each in spec.peers if each.party_run_id == offer.peer_party_run_id), None)
    if peer is None:
        return "the peer is no member of the run"
    if peer.federated_id != offer.peer_federated_id:
        return "the peer is another party than the assignment says"
    if not any(offer.port in ports for ports in ports_of(spec, spec.role)):
        return "the run does not declare the port"
    return peer
