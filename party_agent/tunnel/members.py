"""Pure: who meets whom in a run, by what name, and at which ports; held against every offer.

The server says it in the assignment, and the agent keeps to it: a later word of the server opens
nothing more.
"""

from flow_contract.assignments import WorkloadSpec
from flow_contract.coordination import Peer, RunRole
from flow_contract.tunnels import Offer
from party_agent import neighbours


def meets(spec: WorkloadSpec) -> bool:
    """Say whether the members of the run meet at all."""
    return bool(spec.coordinator_ports or spec.mesh)


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
    if not any(offer.port in ports for ports in neighbours.own(spec).ports):
        return "the run does not declare the port"
    return peer
