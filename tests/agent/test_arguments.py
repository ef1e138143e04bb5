"""What a workload's command and environment say once its run and its site are known."""

import pytest

from flow_contract.coordination import Framework, Peer, PortRange, RunRole
from flow_contract.reasons import Reason
from party_agent.arguments import MAX_FILLED_CHARS, Surroundings, filled
from party_agent.neighbours import neighbours, own
from party_agent.runtime.port import Neighbour, RuntimeRefused
from tests.agent.fakes import make_spec

PARTIES = ("bank-a", "bank-b", "bank-c")
COORDINATOR = Peer(
    name="coordinator",
    federated_id="bank-c",
    party_run_id="c" * 32,
    rank=3,
    role=RunRole.COORDINATOR,
)
MESH = (PortRange(first=29500, last=29500), PortRange(first=32768, last=60999))


def party(rank):
    return Peer(
        name=f"party-{PARTIES[rank]}",
        federated_id=PARTIES[rank],
        party_run_id=str(rank) * 32,
        rank=rank,
    )


def member(**changes):
    """The party of rank 1, in a run with a coordinator and a mesh."""
    fields = {
        "federated_id": "bank-b",
        "rank": 1,
        "parties": PARTIES,
        "peers": (party(0), party(2), COORDINATOR),
        "coordinator_ports": (50001, 50002),
        "mesh": MESH,
        "epochs": 4,
    }
    return make_spec(**{**fields, **changes})


def by_name(neighbour):
    return neighbour.name


def by_number(neighbour):
    return f"127.9.9.{neighbour.number}"


def fill(text, spec=None, host_of=by_name, **directories):
    spec = spec or member()
    around = Surroundings(host_of=host_of, **directories)
    from_env = filled(make_spec(**{**vars(spec), "env": {"X": text}}), around).env["X"]
    [from_command] = filled(make_spec(**{**vars(spec), "command": (text,)}), around).command
    assert from_env == from_command
    return from_command


def refusal(text, spec=None, **directories):
    with pytest.raises(RuntimeRefused) as refused:
        fill(text, spec, **directories)
    assert refused.value.reason is Reason.PLACEHOLDER_UNKNOWN
    return refused.value.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{party_id}", "bank-b"),
        ("--rank={rank}/{world_size}", "--rank=1/3"),
        ("{coordinator}:50001", "coordinator:50001"),
        ("{address}:29500", "party-bank-b:29500"),
        ("{name}", "party-bank-b"),
        ("{epochs}", "4"),
        ("{run_id}", "r" * 32),
        ("{task_id}", "t" * 32),
        ("tcp://{peer.0}:29500 {peer.2}", "tcp://party-bank-a:29500 party-bank-c"),
        ("{peer.1}", "party-bank-b"),
    ],
)
def test_each_placeholder_stands_for_what_the_run_knows(text, expected):
    assert fill(text) == expected


def test_hosts_are_those_of_the_site_s_runtime():
    assert fill("{coordinator} {address} {peer.0}", host_of=by_number) == (
        "127.9.9.1 127.9.9.3 127.9.9.2"
    )


def test_a_hyper_parameter_is_filled_in_by_its_name_and_the_last_value_counts():
    spec = member(hyper_parameter=("lr=0.1", "note=a=b", "bare", "lr=0.2"))
    assert fill("{hyper_parameter.lr} {hyper_parameter.note}", spec) == "0.2 a=b"
    assert fill("{hyper_parameters}", spec) == '["lr=0.1", "note=a=b", "bare", "lr=0.2"]'


def test_a_value_is_not_filled_in_again():
    assert fill("{hyper_parameter.a}", member(hyper_parameter=("a={rank}",))) == "{rank}"


@pytest.mark.parametrize(
    "text",
    ["{}", "{ rank }", "{Rank}", "{peer}", "{peer.x}", '{"a": 1}', "${HOME}", "{hyper_parameter.}"],
)
def test_every_other_brace_stays_as_it_is(text):
    assert fill(text) == text


def test_doubled_braces_give_the_name_itself():
    assert fill("{{rank}} {{other}} {{peer.0}}") == "{rank} {{other}} {peer.0}"


def test_directories_are_those_that_the_site_gives():
    assert fill("{data_dir} {output_dir}", data_dir="/data", output_dir="/o") == "/data /o"
    assert "no such directory" in refusal("{data_dir}")


def test_an_unknown_hyper_parameter_is_refused_with_those_that_there_are():
    message = refusal("{hyper_parameter.lt}", member(hyper_parameter=("lr=1", "b=2")))
    assert message.startswith("{hyper_parameter.lt}: the run was started without lt; it has b, lr.")


def test_what_the_run_lacks_is_refused_with_what_to_declare():
    alone = member(peers=(), coordinator_ports=(), mesh=())
    assert "declare one in the template" in refusal("{coordinator}", alone)
    assert "declare a coordinator or a mesh" in refusal("{address}", alone)
    assert "template's mesh" in refusal("{peer.0}", member(mesh=(), peers=(COORDINATOR,)))
    assert "0 to 2" in refusal("{peer.3}")


def test_little_text_can_not_ask_for_endless_words():
    long = member(hyper_parameter=(f"a={'x' * (MAX_FILLED_CHARS - 1)}",))
    assert len(fill("{hyper_parameter.a}", long)) == MAX_FILLED_CHARS - 1
    assert "more than" in refusal("{hyper_parameter.a}" * 3, long)


def test_an_iflearner_party_gets_exactly_the_original_s_arguments():
    spec = member(command=("ifl",), framework=Framework.IFLEARNER)
    assert filled(spec, Surroundings(host_of=by_name)).command == (
        "ifl",
        "--name=bank-b",
        "--epochs=4",
        "--server=coordinator:50001",
    )


def test_an_iflearner_party_with_smpc_is_told_its_own_place_first_and_then_the_others():
    spec = member(command=(), framework=Framework.IFLEARNER, enable_smpc=True)
    *_, peers = filled(spec, Surroundings(host_of=by_name)).command
    assert peers == "--peers=0.0.0.0:29500;party-bank-a:29500;party-bank-c:29500"


def test_where_the_network_is_shared_an_iflearner_party_listens_at_its_own_address_only():
    spec = member(command=(), framework=Framework.IFLEARNER, enable_smpc=True)
    *_, server, peers = filled(spec, Surroundings(host_of=by_number)).command
    assert server == "--server=127.9.9.1:50001"
    assert peers == "--peers=127.9.9.3:29500;127.9.9.2:29500;127.9.9.4:29500"


def test_a_lonely_iflearner_party_with_smpc_has_no_peers_to_name():
    spec = member(
        command=(),
        framework=Framework.IFLEARNER,
        enable_smpc=True,
        parties=("bank-b",),
        rank=0,
        peers=(COORDINATOR,),
    )
    assert len(filled(spec, Surroundings(host_of=by_name)).command) == 3


def test_smpc_without_a_mesh_is_refused():
    spec = member(mesh=(), framework=Framework.IFLEARNER, enable_smpc=True)
    with pytest.raises(RuntimeRefused, match="enable_smpc"):
        filled(spec, Surroundings(host_of=by_name))


def test_an_iflearner_coordinator_is_told_how_many_and_how_long():
    spec = member(
        command=("ifl_server",),
        framework=Framework.IFLEARNER,
        role=RunRole.COORDINATOR,
        rank=3,
        enable_smpc=True,
    )
    around = Surroundings(host_of=by_name)
    assert filled(spec, around).command == ("ifl_server", "-n=3", "--epochs=4")


def test_a_party_reaches_the_coordinator_and_with_a_mesh_all_others_and_itself():
    ports = (PortRange(first=50001, last=50001), PortRange(first=50002, last=50002))
    assert neighbours(member(mesh=(), peers=(COORDINATOR,))) == (
        Neighbour(name="coordinator", number=1, ports=ports),
        Neighbour(name="party-bank-b", number=3, ports=()),
    )
    assert neighbours(member()) == (
        Neighbour(name="coordinator", number=1, ports=(*ports, *MESH)),
        Neighbour(name="party-bank-a", number=2, ports=MESH),
        Neighbour(name="party-bank-b", number=3, ports=MESH),
        Neighbour(name="party-bank-c", number=4, ports=MESH),
    )


def test_a_coordinator_without_a_mesh_dials_nobody():
    spec = member(role=RunRole.COORDINATOR, rank=3, mesh=(), peers=tuple(map(party, range(3))))
    assert [each.name for each in neighbours(spec)] == ["coordinator"]
    assert own(spec).number == 1


def test_a_run_that_declares_neither_has_no_neighbours():
    assert neighbours(make_spec()) == ()
