"""What an assignment says of the run's other members: what can be true, and what can't."""

import pytest

from flow_contract.coordination import Peer, PortRange, RunRole
from flow_contract.templates import Network
from party_agent.policy.peers import malformed_peers
from tests.agent.fakes import make_spec

B = Peer(name="party-hospital-b", federated_id="hospital-b", party_run_id="run2", rank=1)
COORDINATOR = Peer(
    name="coordinator",
    federated_id="hospital-b",
    party_run_id="run3",
    rank=2,
    role=RunRole.COORDINATOR,
)
MESH = (PortRange(first=29500, last=29500),)
GOOD = {"peers": (B, COORDINATOR), "coordinator_ports": (9000,), "mesh": MESH}


def peer(**changes):
    fields = {name: getattr(B, name) for name in B.__dataclass_fields__}
    return Peer(**{**fields, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"peers": ()},
        {"peers": (COORDINATOR,), "mesh": ()},
        {"role": RunRole.COORDINATOR, "rank": 2, "peers": (B,), "mesh": ()},
    ],
)
def test_what_can_be_is_let_pass(changes):
    assert malformed_peers(make_spec(**{**GOOD, **changes})) == ""


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"coordinator_ports": (), "mesh": ()}, "declares no port"),
        ({"network": Network.BRIDGE}, "exclude each other"),
        ({"peers": (B, peer(party_run_id="run4"))}, "the same place"),
        ({"peers": (peer(party_run_id="run1"),)}, "the same id"),
        ({"peers": (peer(name="localhost"),)}, "'localhost'"),
        ({"peers": (peer(name="coordinator"),)}, "'coordinator'"),
        ({"peers": (peer(federated_id="hospital-c"),)}, "not whom"),
        ({"peers": (peer(federated_id="../x", name="party-../x"),)}, "not whom"),
        ({"peers": (peer(rank=7),)}, "not whom"),
        ({"peers": (peer(rank=-1),)}, "not whom"),
        ({"peers": (peer(role=RunRole.COORDINATOR, rank=1),)}, "not whom"),
    ],
)
def test_what_can_not_be_is_told(changes, why):
    assert why in malformed_peers(make_spec(**{**GOOD, **changes}))


def test_a_run_that_meets_nobody_needs_nothing():
    assert malformed_peers(make_spec()) == ""
