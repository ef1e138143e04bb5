"""What each member of a run is told: its own program, and whom it meets."""

from flow_contract.coordination import Framework, PortRange, RunRole
from flow_contract.lifecycle import Desired
from flow_contract.reasons import Reason
from flow_contract.runs import Snapshot
from flow_contract.templates import Coordinator, Mount, Resources, TemplateSpec
from flow_server.domain.assign import assignment
from flow_server.domain.rosters import Roster

MESH = (PortRange(first=29500, last=29510),)
COORDINATOR = Coordinator(
    image_url="server:1",
    workdir="/srv",
    command=("serve",),
    env={"A": "1"},
    resources=Resources(cpus=1),
    ports=(50001,),
)
TEMPLATE = {
    "name": "t",
    "image_url": "client:1",
    "workdir": "/app",
    "command": ("train",),
    "env": {"B": "2"},
    "resources": Resources(cpus=4),
    "mounts": (Mount(data_name="scans", target="/scans"),),
    "user": "1000",
}
COORDINATED = Roster(parties=("a", "b"), coordinator="a", party_run_ids=("run-a", "run-b", "run-c"))
MESHED = Roster(parties=("a", "b"), party_run_ids=("run-a", "run-b"))
PLAIN = Roster(parties=("a", "b"))


def spec_of(rank, roster, *, role=RunRole.PARTY, **template):
    return assignment(
        party_run_id="own",
        run_id="run",
        task_id="task",
        order=1,
        federated_id="a",
        federated_data="",
        rank=rank,
        role=role,
        roster=roster,
        snapshot=Snapshot(
            template_id="tpl",
            template=TemplateSpec(**TEMPLATE | template),
            epochs=3,
            hyper_parameter=(),
            enable_smpc=False,
        ),
        desired=Desired.PREPARED,
        cause=Reason.NONE,
    ).spec


def met(spec):
    return [(peer.name, peer.party_run_id, peer.rank, peer.role.value) for peer in spec.peers]


def test_without_coordinator_and_mesh_nobody_meets_anybody():
    spec = spec_of(0, PLAIN)
    assert (spec.role, spec.peers, spec.coordinator_ports, spec.mesh) == (
        RunRole.PARTY,
        (),
        (),
        (),
    )


def test_a_party_meets_its_coordinator_and_the_coordinator_the_parties():
    parties = [spec_of(rank, COORDINATED, coordinator=COORDINATOR) for rank in (0, 1)]
    hub = spec_of(2, COORDINATED, role=RunRole.COORDINATOR, coordinator=COORDINATOR)
    for spec in parties:
        assert met(spec) == [("coordinator", "run-c", 2, "coordinator")]
        assert spec.peers[0].federated_id == "a"
    assert met(hub) == [("party-a", "run-a", 0, "party"), ("party-b", "run-b", 1, "party")]
    assert {spec.coordinator_ports for spec in (*parties, hub)} == {(50001,)}
    assert {spec.parties for spec in (*parties, hub)} == {("a", "b")}


def test_in_a_mesh_everybody_meets_everybody_else():
    meshed = {"coordinator": COORDINATOR, "mesh": MESH}
    first = spec_of(0, COORDINATED, **meshed)
    hub = spec_of(2, COORDINATED, role=RunRole.COORDINATOR, **meshed)
    assert met(first) == [
        ("party-b", "run-b", 1, "party"),
        ("coordinator", "run-c", 2, "coordinator"),
    ]
    assert met(hub) == [("party-a", "run-a", 0, "party"), ("party-b", "run-b", 1, "party")]
    assert met(spec_of(1, MESHED, mesh=MESH)) == [("party-a", "run-a", 0, "party")]
    assert first.mesh == MESH


def test_a_coordinator_runs_its_own_program_without_the_data_of_the_parties():
    party = spec_of(0, COORDINATED, coordinator=COORDINATOR)
    hub = spec_of(2, COORDINATED, role=RunRole.COORDINATOR, coordinator=COORDINATOR)
    assert (hub.image_url, hub.workdir, hub.command) == ("server:1", "/srv", ("serve",))
    assert (hub.env, hub.resources) == ({"A": "1"}, Resources(cpus=1))
    assert (hub.mounts, hub.user) == ((), "")
    assert (party.image_url, party.workdir, party.command) == ("client:1", "/app", ("train",))
    assert (party.mounts, party.user) == (TEMPLATE["mounts"], "1000")


def test_a_coordinator_without_an_image_of_its_own_has_the_template_s_and_its_user():
    bare = Coordinator(ports=(80,))
    hub = spec_of(2, COORDINATED, role=RunRole.COORDINATOR, coordinator=bare)
    assert (hub.image_url, hub.workdir, hub.user) == ("client:1", "/app", "1000")
    assert (hub.command, hub.mounts) == ((), ())


def test_every_member_is_told_the_framework_and_how_long_to_wait():
    told = {"framework": Framework.IFLEARNER, "connect_timeout_s": 7, "coordinator": COORDINATOR}
    for rank, role in ((0, RunRole.PARTY), (2, RunRole.COORDINATOR)):
        spec = spec_of(rank, COORDINATED, role=role, **told)
        assert (spec.framework, spec.connect_timeout_s) == (Framework.IFLEARNER, 7)
