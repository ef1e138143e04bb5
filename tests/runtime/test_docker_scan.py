"""What a container that has neighbours finds when it looks for anything else.

Every place that it must not reach is really there: the test listens, and dials it first itself.
"""

import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import docker
import pytest

from party_agent.runtime.neighbours import nftables
from party_agent.runtime.neighbours.ways import Way
from tests.runtime.socket_play import pair, playing
from tests.runtime.test_docker_sockets import WAYS, NeighbourlyContainers

pytestmark = pytest.mark.docker

# Of the cloud's own, a public name server's, a private net's, one for documentation.
ELSEWHERE = ("169.254.169.254", "8.8.8.8", "10.0.0.1", "192.0.2.1")
REACH_S = 2

SCAN = """
import errno, socket
result = {}
for host, port in PLACES:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for kind, name in ((socket.SOCK_STREAM, "tcp"), (socket.SOCK_DGRAM, "udp")):
        with socket.socket(family, kind) as probe:
            probe.settimeout(SECONDS)
            try:
                probe.connect((host, port))
                if name == "udp":
                    probe.send(b"anybody?")
                    probe.recv(1)
                result[f"{name} {host}:{port}"] = "reached"
            except OSError as problem:
                result[f"{name} {host}:{port}"] = errno.errorcode.get(problem.errno, "timeout")
"""

CHANGE = """
import errno, socket, sys
sys.path.insert(0, "/fedflow")
result = {}
def attempt(name, does):
    try:
        does()
        result[name] = "done"
    except OSError as problem:
        result[name] = errno.errorcode.get(problem.errno, str(problem))
def bind_raw():
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP).close()
def listen_to_all():
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
def flush():
    import nftables
    nftables.install([], [], ("127.0.0.1", 1))
attempt("raw", bind_raw)
attempt("packets", listen_to_all)
attempt("rules", flush)
"""


@pytest.fixture(params=WAYS)
async def harness(
    tmp_path: Path, engine: docker.APIClient, python_image: None, request: pytest.FixtureRequest
) -> AsyncIterator[NeighbourlyContainers]:
    harness = NeighbourlyContainers(tmp_path, engine, request.param)
    yield harness
    await harness.aclose()
    assert await harness.leftovers("") == []


def nameservers() -> list[str]:
    lines = Path("/etc/resolv.conf").read_text().splitlines()
    return [line.split()[1] for line in lines if line.startswith("nameserver")]


def host_addresses() -> list[str]:
    """Return every address that this machine has, loopback left aside."""
    text = subprocess.run(["hostname", "-I"], check=True, capture_output=True, text=True).stdout
    return text.split()


@contextmanager
def services() -> Iterator[list[tuple[str, int]]]:
    """Listen everywhere on this machine, over TCP and UDP, and yield where one is reached."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("", 0)))
        port = listener.getsockname()[1]
        dumb = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        dumb.bind(("", port))
        places = [(host, port) for host in ("127.0.0.1", *host_addresses()) if ":" not in host]
        for place in places:
            socket.create_connection(place, timeout=30).close()
        yield places


async def test_nothing_but_its_neighbours_is_reached_from_inside(
    harness: NeighbourlyContainers,
) -> None:
    client = harness.client
    bridge = client.inspect_network("bridge")["IPAM"]["Config"][0]
    gateway = bridge.get("Gateway") or bridge["Subnet"].replace(".0/16", ".1")
    runtime = harness.new_runtime()
    await runtime.open()
    try:
        with services() as places:
            async with playing(harness, runtime) as (_, sockets, player):
                assert any(host == gateway for host, _ in places)
                places += [(gateway, 2375), (gateway, 53)]
                places += [
                    (host, port) for host in (*ELSEWHERE, *nameservers()) for port in (53, 80)
                ]
                text = f"PLACES, SECONDS = {places!r}, {REACH_S}\n{SCAN}"
                found = await player.result("python", text=text)
                assert len(found) == 2 * len(set(places))
                assert set(found.values()) <= {"ECONNREFUSED", "ENETUNREACH", "EADDRNOTAVAIL"}
                lines = (await player.result("read", path="/proc/net/dev")).splitlines()[2:]
                assert [line.partition(":")[0].strip() for line in lines] == ["lo"]
                assert (await player.result("read", path="/proc/net/route")).count("\n") <= 1
                # And the scan was made where the neighbours are.
                _, dialled = await pair(player, sockets, "coordinator", 50_051)
                dialled.stream.close()
    finally:
        await runtime.aclose()


async def test_a_name_that_is_no_member_s_is_not_found(harness: NeighbourlyContainers) -> None:
    runtime = harness.new_runtime()
    await runtime.open()
    try:
        async with playing(harness, runtime) as (_, _, player):
            for name in ("party-c", "example.com", "host.docker.internal"):
                with pytest.raises(OSError, match=r"[Nn]ame|resolution"):
                    await player.result("look_up", host=name, port=80)
    finally:
        await runtime.aclose()


async def test_the_workload_can_change_nothing_about_its_network(
    harness: NeighbourlyContainers,
) -> None:
    runtime = harness.new_runtime()
    await runtime.open()
    try:
        async with playing(harness, runtime) as (workload, sockets, player):
            folder = harness.folder / "puppets" / workload.party_run_id
            shutil.copyfile(nftables.__file__, folder / "nftables.py")
            (folder / "nftables.py").chmod(0o644)
            found = await player.result("python", text=CHANGE)
            assert found == {"raw": "EPERM", "packets": "EPERM", "rules": "EPERM"}
            status = await player.result("read", path="/proc/self/status")
            assert "CapEff:\t0000000000000000" in status
            assert "CapBnd:\t0000000000000000" in status
            _, dialled = await pair(player, sockets, "coordinator", 50_051)
            dialled.stream.close()
    finally:
        await runtime.aclose()


async def test_a_sidecar_may_change_that_network_and_nothing_else(
    tmp_path: Path, engine: docker.APIClient, python_image: None
) -> None:
    harness = NeighbourlyContainers(tmp_path, engine, Way.SIDECAR)
    runtime = harness.new_runtime()
    await runtime.open()
    try:
        async with playing(harness, runtime) as (workload, _, _):
            found = engine.inspect_container(f"fedflow-sidecar-{workload.party_run_id}")
            host = found["HostConfig"]
            assert (host["CapAdd"], host["CapDrop"]) == (["NET_ADMIN"], ["ALL"])
            assert host["ReadonlyRootfs"] is True
            assert host["Privileged"] is False
            assert host["SecurityOpt"] == ["no-new-privileges"]
            assert [each["RW"] for each in found["Mounts"]] == [False]
            mode = engine.inspect_container(f"fedflow-{workload.party_run_id}")["HostConfig"]
            assert host["NetworkMode"] == mode["NetworkMode"]
    finally:
        await runtime.aclose()
        await harness.aclose()
