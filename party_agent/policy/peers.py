"""Pure: whether what an assignment says of the run's other members can be true.

They become names in a container, and those whose certificates open its ports: a server that names
one party twice, or calls one by another's name, could let the wrong one in.
"""

from flow_contract.assignments import WorkloadSpec
from flow_contract.coordination import COORDINATOR_NAME, Peer, RunRole, party_name
from flow_contract.ids import is_party_id
from flow_contract.templates import Network


def malformed_peers(spec: WorkloadSpec) -> str:
    """Return what no run could hold, "" for good ones."""
    if not (spec.coordinator_ports or spec.mesh):
        return "peers: the run declares no port to meet them at" if spec.peers else ""
    if spec.network is not Network.NONE:
        return (
            f"network: {spec.network} and a coordinator or a mesh exclude each other; who meets "
            "the run's members has no other network"
        )
    places = [(spec.role, spec.rank), *((peer.role, peer.rank) for peer in spec.peers)]
    if len(set(places)) != len(places):
        return "peers: two of the run's members have the same place"
    ids = [spec.party_run_id, *(peer.party_run_id for peer in spec.peers)]
    if len(set(ids)) != len(ids):
        return "peers: two of the run's members have the same id"
    bad = next((peer for peer in spec.peers if not _is_good(spec, peer)), None)
    return "" if bad is None else f"peers: {bad.name!r} is not whom the run's parties say"


def _is_good(spec: WorkloadSpec, peer: Peer) -> bool:
    if not is_party_id(peer.federated_id):
        return False
    if peer.role is RunRole.COORDINATOR:
        return peer.name == COORDINATOR_NAME and peer.rank == len(spec.parties)
    return (
        peer.name == party_name(peer.federated_id)
        and 0 <= peer.rank < len(spec.parties)
        and spec.parties[peer.rank] == peer.federated_id
    )
