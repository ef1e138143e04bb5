"""What the engine shows of a workload, and what the workload itself sees."""

from pathlib import Path

import pytest

from flow_contract.templates import GpuRequest, Network, Resources
from party_agent.runtime.docker_engine.runtime import DockerRuntime
from party_agent.runtime.docker_engine.translate import LABEL_AGENT, LABEL_PARTY_RUN, LABEL_SPEC
from party_agent.runtime.port import Bind, Workload
from tests.runtime.docker_support import Site, ignore, ran, started
from tests.runtime.harness import until

pytestmark = pytest.mark.docker

MIB = 1024 * 1024


@pytest.fixture
def binds(tmp_path: Path) -> tuple[Bind, ...]:
    data, output = tmp_path / "data: with a colon", tmp_path / "output"
    data.mkdir()
    output.mkdir()
    (data / "rows.csv").write_text("1,2\n")
    return (
        Bind(source=data, target="/data"),
        Bind(source=output, target="/output", writable=True),
    )


async def test_a_workload_is_created_with_no_rights_beyond_its_own(
    site: Site, docker_runtime: DockerRuntime
) -> None:
    workload = site.workload("true")
    await docker_runtime.prepare(workload, ignore)
    host = site.container(workload)["HostConfig"]
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["Privileged"] is False
    assert host["Init"] is True
    assert host["LogConfig"]["Type"] == "local"
    assert host["RestartPolicy"]["Name"] == "no"
    assert host["PidMode"] == ""
    assert not host["Binds"]


async def test_limits_reach_the_engine_and_swap_adds_nothing(
    site: Site, docker_runtime: DockerRuntime
) -> None:
    resources = Resources(cpus=0.5, memory_bytes=64 * MIB, pids=50, shm_bytes=2 * MIB)
    workload = site.workload("true", resources=resources, user="1000:1000")
    await docker_runtime.prepare(workload, ignore)
    container = site.container(workload)
    host = container["HostConfig"]
    assert host["NanoCpus"] == 500_000_000
    assert (host["Memory"], host["MemorySwap"]) == (64 * MIB, 64 * MIB)
    assert host["PidsLimit"] == 50
    assert host["ShmSize"] == 2 * MIB
    assert container["Config"]["User"] == "1000:1000"


async def test_labels_name_agent_party_run_and_spec(
    site: Site, docker_runtime: DockerRuntime
) -> None:
    workload = site.workload("true")
    digest = await docker_runtime.prepare(workload, ignore)
    found = site.container(workload)["Config"]["Labels"]
    assert found["fedflow.test"] == "docker"
    assert found[LABEL_AGENT] == site.agent_key
    assert found[LABEL_PARTY_RUN] == workload.party_run_id
    assert len(found[LABEL_SPEC]) == 64
    assert digest == site.client.inspect_image(site.image)["Id"]


async def test_a_workload_has_no_network_interface_but_loopback(
    site: Site, docker_runtime: DockerRuntime
) -> None:
    workload = site.shell("ls /sys/class/net; cat /proc/net/route | wc -l")
    assert (await ran(docker_runtime, workload)).exit_code == 0
    assert site.output(workload).split() == ["lo", "1"]


async def test_a_workload_that_declares_a_network_gets_the_bridge_and_no_sandbox(
    site: Site, docker_runtime: DockerRuntime
) -> None:
    workload = site.shell("ls /sys/class/net", network=Network.BRIDGE)
    assert (await ran(docker_runtime, workload)).exit_code == 0
    assert site.output(workload).split() == ["eth0", "lo"]
    assert site.container(workload)["HostConfig"]["NetworkMode"] == "bridge"


def namespace_of(site: Site, workload: Workload) -> Path:
    pid = site.container(workload)["State"]["Pid"]
    return Path(f"/proc/{pid}/ns/net").readlink()


async def test_two_party_runs_never_share_a_network_namespace(
    site: Site, docker_runtime: DockerRuntime
) -> None:
    # All at once: the kernel gives the number of a namespace that is gone to a new one.
    workloads = [site.workload("sleep", "1000") for _ in range(3)]
    for workload in workloads:
        await started(docker_runtime, workload)
    assert len({namespace_of(site, workload) for workload in workloads}) == 3


async def test_data_are_read_only_and_the_output_is_writable(
    site: Site, docker_runtime: DockerRuntime, binds: tuple[Bind, ...]
) -> None:
    workload = site.shell(
        "cat /data/rows.csv > /output/copy && ! touch /data/mine && ! touch /data/rows.csv",
        binds=binds,
    )
    assert (await ran(docker_runtime, workload)).exit_code == 0
    assert (binds[1].source / "copy").read_text() == "1,2\n"
    mounts = {each["Destination"]: each["RW"] for each in site.container(workload)["Mounts"]}
    assert mounts == {"/data": False, "/output": True}


async def test_the_workload_holds_no_capability_and_can_gain_none(
    site: Site, docker_runtime: DockerRuntime
) -> None:
    workload = site.shell("grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status")
    await ran(docker_runtime, workload)
    assert site.output(workload).split() == [
        "CapEff:",
        "0000000000000000",
        "CapBnd:",
        "0000000000000000",
        "NoNewPrivs:",
        "1",
    ]


async def test_the_sandbox_is_as_bare_as_its_workload(
    site: Site, docker_runtime: DockerRuntime
) -> None:
    await until(lambda: docker_runtime._pool.idle)
    workload = site.workload("true")
    await docker_runtime.prepare(workload, ignore)
    mode = site.container(workload)["HostConfig"]["NetworkMode"]
    sandbox = site.client.inspect_container(mode.removeprefix("container:"))
    assert sandbox["State"]["Running"] is True
    assert sandbox["HostConfig"]["NetworkMode"] == "none"
    assert sandbox["HostConfig"]["CapDrop"] == ["ALL"]
    assert sandbox["HostConfig"]["ReadonlyRootfs"] is True
    assert sandbox["Config"]["User"] == "65534:65534"


async def test_gpus_are_asked_for_by_explicit_ids_and_never_by_count(
    site: Site, docker_runtime: DockerRuntime
) -> None:
    gpus = GpuRequest(count=2, capabilities=("gpu", "utility"))
    workload = site.workload("true", resources=Resources(gpus=gpus), gpu_ids=("1", "3"))
    await docker_runtime.prepare(workload, ignore)
    (request,) = site.container(workload)["HostConfig"]["DeviceRequests"]
    assert request["Driver"] == "nvidia"
    assert request["DeviceIDs"] == ["1", "3"]
    assert request["Count"] == 0
    assert request["Capabilities"] == [["gpu", "utility"]]
