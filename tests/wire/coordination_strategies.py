"""Hypothesis strategies of how the members of a run find each other."""

from hypothesis import strategies as st

from flow_contract.coordination import Ends, Peer, PeerProgress, PortRange, RunRole, Traffic
from flow_contract.templates import Coordinator
from flow_contract.tunnels import Offer, Ticket
from tests.wire.basic_strategies import env, int32, int64, maybe, resources, text, texts

port_ranges = st.builds(PortRange, first=int32, last=int32)
meshes = st.lists(port_ranges, max_size=3).map(tuple)
ports = st.lists(int32, max_size=3).map(tuple)
coordinators = st.builds(
    Coordinator,
    image_url=text,
    workdir=text,
    command=texts,
    env=env,
    resources=resources,
    ports=ports,
    party=text,
    ends=st.sampled_from(Ends),
    decides=st.booleans(),
)
peers = st.builds(
    Peer,
    name=text,
    federated_id=text,
    party_run_id=text,
    rank=int32,
    role=st.sampled_from(RunRole),
)
traffics = st.builds(Traffic, peer=text, sent_bytes=int64, received_bytes=int64, connections=int64)
peer_progresses = st.builds(
    PeerProgress,
    federated_id=text,
    ready=st.booleans(),
    complete=st.booleans(),
    current_epoch=maybe(int32),
    total_epoch=maybe(int32),
)
between = {
    "traffic": st.lists(traffics, max_size=2).map(tuple),
    "peer_progress": st.lists(peer_progresses, max_size=2).map(tuple),
}
tickets = st.builds(
    Ticket,
    tunnel_id=st.binary(max_size=16),
    secret=st.binary(max_size=32),
    relay_address=text,
    direct_address=text,
)
offers = st.builds(
    Offer,
    ticket=tickets,
    party_run_id=text,
    peer_party_run_id=text,
    peer_federated_id=text,
    port=int32,
)
