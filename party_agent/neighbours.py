"""Whom of its run a workload may dial, itself included; pure."""

from flow_contract.assignments import WorkloadSpec
from flow_contract.coordination import COORDINATOR_NAME, PortRange, RunRole, party_name
from party_agent.runtime.port import Neighbour

COORDINATOR_NUMBER = 1
FIRST_PARTY_NUMBER = 2


def own(spec: WorkloadSpec) -> Neighbour:
    """Return the workload as its neighbours see it."""
    if spec.role is RunRole.COORDINATOR:
        return _coordinator(spec)
    return _party(spec, spec.federated_id, spec.rank)


def neighbours(spec: WorkloadSpec) -> tuple[Neighbour, ...]:
    """Return those whom it may dial and itself, by number; empty where the run talks to nobody."""
    if not spec.coordinator_ports and not spec.mesh:
        return ()
    found = {own(spec)}
    for peer in spec.peers:
        if peer.role is RunRole.COORDINATOR:
            found.add(_coordinator(spec))
        elif spec.mesh:
            found.add(_party(spec, peer.federated_id, peer.rank))
    return tuple(sorted(found, key=lambda neighbour: neighbour.number))


def _coordinator(spec: WorkloadSpec) -> Neighbour:
    ports = tuple(PortRange(first=port, last=port) for port in spec.coordinator_ports)
    return Neighbour(name=COORDINATOR_NAME, number=COORDINATOR_NUMBER, ports=ports + spec.mesh)


def _party(spec: WorkloadSpec, federated_id: str, rank: int) -> Neighbour:
    number = FIRST_PARTY_NUMBER + rank
    return Neighbour(name=party_name(federated_id), number=number, ports=spec.mesh)
