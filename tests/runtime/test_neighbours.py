"""Whom a workload reaches and how, as far as it can be said without a network."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from flow_contract.ids import new_id
from party_agent.runtime.docker_engine.network_bodies import network_body
from party_agent.runtime.docker_engine.sandbox import sandbox_body
from party_agent.runtime.docker_engine.translate import spec_digest
from party_agent.runtime.neighbours import addresses, nftables, sidecar, sidecar_program
from party_agent.runtime.neighbours.nftables import Redirect
from party_agent.runtime.neighbours.ways import Way
from party_agent.runtime.port import RuntimeRefused
from party_agent.settings import AgentSettings, problems
from tests.runtime.docker_support import CAGE, make_workload
from tests.runtime.puppets import neighbour, with_neighbours

OWN = neighbour("party-b", 3, 29_500)


def workload_of(*others, own=OWN):
    return with_neighbours(make_workload(), own, *others)


def as_number(address):
    return int.from_bytes(bytes(map(int, address.split("."))))


def parties(*numbers, ports=(29_500,)):
    return [neighbour(f"party-{number}", number, *ports) for number in numbers]


@pytest.mark.parametrize(
    ("number", "address"),
    [(1, "127.1.0.1"), (2, "127.1.0.2"), (255, "127.1.0.255"), (256, "127.1.1.0")],
)
def test_a_member_s_address_is_its_number(number, address):
    assert addresses.in_sandbox(number) == address


@pytest.mark.parametrize("number", [0, -1, 2**16])
def test_a_number_for_which_there_is_no_address_is_refused(number):
    with pytest.raises(RuntimeRefused):
        addresses.in_sandbox(number)


def test_parties_of_equal_ports_are_one_redirect_on_each_side_of_oneself():
    workload = workload_of(*parties(2, *range(4, 1_002)))
    first, last = addresses.redirects(workload)
    assert first == Redirect(as_number("127.1.0.2"), as_number("127.1.0.2"), 29_500, 29_500)
    assert last == Redirect(as_number("127.1.0.4"), as_number("127.1.3.233"), 29_500, 29_500)
    assert addresses.fences(workload) == [first[:2], last[:2]]


def test_a_member_without_ports_is_fenced_off_and_redirected_nowhere():
    workload = workload_of(neighbour("coordinator", 1), neighbour("party-a", 2, 80, (90, 99)))
    two = as_number("127.1.0.2")
    assert addresses.redirects(workload) == [Redirect(two, two, 80, 80), Redirect(two, two, 90, 99)]
    assert addresses.fences(workload) == [(as_number("127.1.0.1"), two)]


def test_the_agent_listens_at_no_port_that_the_run_declares():
    workload = workload_of(
        neighbour("party-a", 2, (65_000, 65_535)), own=neighbour("me", 3, 64_999)
    )
    ports = addresses.listener_ports(workload)
    assert ports[:2] == [64_998, 64_997]


def test_a_workload_that_is_not_of_its_own_run_is_refused():
    workload = with_neighbours(make_workload(), neighbour("party-a", 2))
    with pytest.raises(RuntimeRefused, match="'party-z'"):
        addresses.itself(type(workload)(**{**vars(workload), "own_name": "party-z"}))


def test_other_neighbours_are_another_spec():
    digests = {spec_digest(workload_of(*parties(*numbers)), CAGE) for numbers in ([2], [4], [2, 4])}
    assert len(digests) == 3


def test_two_runs_on_one_machine_have_addresses_of_their_own():
    runs = [new_id() for _ in range(2)]
    found = {addresses.at_host(run, number) for run in runs for number in range(1, 600)}
    assert len(found) == 2 * 599


def test_a_network_s_body_changes_no_right_of_a_sandbox():
    sandbox = sandbox_body("pause", "key")
    body = network_body(sandbox, workload_of(*parties(2)))
    added = {"ExtraHosts": ["party-2:127.1.0.2", "party-b:127.1.0.3"]}
    assert body["HostConfig"] == {**sandbox["HostConfig"], **added}
    assert (body["User"], body["Hostname"]) == (sandbox["User"], "party-b")
    # The proof of who it is differs from one network to the next.
    assert body["Env"] != network_body(sandbox, workload_of(*parties(2)))["Env"]


@pytest.mark.parametrize("module", [nftables, sidecar_program])
def test_what_runs_in_a_sidecar_is_python_3_8(module):
    ast.parse(Path(module.__file__).read_text(), feature_version=(3, 8))


def test_a_sidecar_s_program_needs_nothing_but_its_own_file(tmp_path):
    with sidecar.listen(tmp_path / "sockets", "run"):
        program = tmp_path / "sockets" / "run" / sidecar.PROGRAM
        script = (
            f"import sys; sys.path.insert(0, {str(program)!r}); "
            "import party_agent.runtime.neighbours.sidecar_program as it; print(it.__file__)"
        )
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", script], check=True, capture_output=True, text=True
        )
    assert done.stdout.startswith(str(program))
    sidecar.remove(tmp_path / "sockets", "run")
    assert sidecar.left(tmp_path / "sockets") == []


@pytest.mark.parametrize("way", list(Way))
def test_a_site_chooses_its_way_by_the_environment(monkeypatch, way):
    monkeypatch.setenv("FEDFLOW_AGENT_SOCKETS", way.value)
    monkeypatch.setenv("FEDFLOW_AGENT_SIDECAR_IMAGE", "site/python:3")
    settings = AgentSettings(server="127.0.0.1:1", party="a")
    assert (settings.sockets, settings.sidecar_image) == (way, "site/python:3")


def test_a_way_that_there_is_not_is_told_under_its_variable(monkeypatch):
    monkeypatch.setenv("FEDFLOW_AGENT_SOCKETS", "tunnel")
    with pytest.raises(ValidationError) as found:
        AgentSettings(server="127.0.0.1:1", party="a")
    (line,) = problems(found.value)
    assert line.startswith("FEDFLOW_AGENT_SOCKETS: ")
