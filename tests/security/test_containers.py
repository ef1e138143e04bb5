"""What a workload may try inside its container, on a real engine, and what must happen.

Every attempt is also made in a container that may do everything, where it must succeed: an
attempt that fails for another reason would prove nothing.
"""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import docker
import pytest

from flow_contract.reasons import Reason
from flow_contract.templates import Resources
from party_agent.runtime.confinement import Confinement
from party_agent.runtime.docker_engine.runtime import DockerRuntime
from party_agent.runtime.port import Bind, RuntimeRefused, RuntimeUnavailable
from tests.engine import connect_or_skip
from tests.images import ensure_busybox_image
from tests.runtime.docker_support import Site, ignore, ran

pytestmark = pytest.mark.docker

MIB = 1024**2
NOBODY = "65532"

ATTEMPTS = {
    "write into the image": "touch /mine",
    "add an account": "echo evil::0:0::/: >> /etc/passwd",
    "add a file to the data": "touch /data/mine",
    "change the data": "echo 3 >> /data/rows.csv",
    "remove the data": "rm /data/extra.csv",
    "make the data writable": "mount -o remount,rw,bind /data",
    "mount a file system": "mount -t tmpfs none /output",
    "change the root directory": "chroot / true",
    "make a device": "mknod /output/null c 1 3",
    "give a file to root": "touch /output/file && chown 0:0 /output/file",
    "change the kernel's settings": "echo mine > /proc/sys/kernel/domainname",
    "rename the machine": "hostname mine",
    "leave for a mount namespace": "unshare -m true",
    "leave for a user namespace": "unshare -U true",
    "read the kernel's log": "dmesg",
    "read a stranger's file": "cat /data/secret",
}

MAY = {
    "read its data": "grep -q 1,2 /data/rows.csv",
    "write its output": "echo weights > /output/model",
    "write temporary files": "touch /tmp/a /var/tmp/a /run/a",
    "write at home": 'touch "$HOME/.cache"',
    "run what it compiled": "cp /bin/busybox /tmp/true && /tmp/true",
}


def script(steps: dict[str, str]) -> str:
    """Return a shell script that prints one line per step: what came of it, and its name."""
    return "\n".join(
        f"if ( {step} ) >/dev/null 2>&1; then echo 'did {name}'; else echo 'failed {name}'; fi"
        for name, step in ((name.replace("'", "'\\''"), step) for name, step in steps.items())
    )


@pytest.fixture
def engine() -> Iterator[docker.APIClient]:
    client = connect_or_skip()
    yield client
    client.close()


@pytest.fixture
def site(engine: docker.APIClient, tmp_path: Path) -> Iterator[Site]:
    site = Site(engine, ensure_busybox_image(engine), tmp_path)
    yield site
    site.clean()


@pytest.fixture
async def runtime(site: Site) -> AsyncIterator[DockerRuntime]:
    runtime = site.new_runtime()
    await runtime.open()
    yield runtime
    await runtime.aclose()


@pytest.fixture
def binds(tmp_path: Path) -> tuple[Bind, ...]:
    data, output = tmp_path / "data", tmp_path / "output"
    data.mkdir()
    output.mkdir(mode=0o700)
    (data / "rows.csv").write_text("1,2\n")
    (data / "extra.csv").write_text("3,4\n")
    (data / "secret").write_text("of another user")
    (data / "secret").chmod(0o600)
    return (
        Bind(source=data, target="/data"),
        Bind(source=output, target="/output", writable=True),
    )


async def test_no_attempt_succeeds_and_what_it_needs_does(
    site: Site, runtime: DockerRuntime, binds: tuple[Bind, ...]
) -> None:
    workload = site.shell(script({**ATTEMPTS, **MAY}), binds=binds)
    await ran(runtime, workload)
    assert site.output(workload).splitlines() == [
        *(f"failed {name}" for name in ATTEMPTS),
        *(f"did {name}" for name in MAY),
    ]
    assert sorted(path.name for path in binds[0].source.iterdir()) == [
        "extra.csv",
        "rows.csv",
        "secret",
    ]


def test_each_attempt_succeeds_in_a_container_that_may_do_everything(
    site: Site, binds: tuple[Bind, ...]
) -> None:
    # Not privileged: some engines may not give away all that this would take.
    host = {
        "CapAdd": ["SYS_ADMIN", "SYSLOG", "MKNOD", "SYS_CHROOT", "CHOWN", "DAC_OVERRIDE"],
        "SecurityOpt": ["seccomp=unconfined", "apparmor=unconfined"],
        "MaskedPaths": [],
        "ReadonlyPaths": [],
        "Binds": [f"{bind.source}:{bind.target}" for bind in binds],
    }
    # Each in a container of its own: some of them get in each other's way.
    failed = []
    for name, step in ATTEMPTS.items():
        body = {"Image": site.image, "Cmd": ["sh", "-c", step], "HostConfig": host}
        made = site.client.create_container_from_config(body)["Id"]
        try:
            site.client.start(made)
            if site.client.wait(made)["StatusCode"] != 0:
                failed.append((name, site.client.logs(made).decode()))
        finally:
            site.client.remove_container(made, force=True)
    assert failed == []


async def test_the_kernel_holds_it_to_no_rights_at_all(site: Site, runtime: DockerRuntime) -> None:
    workload = site.shell("cat /proc/self/status")
    await ran(runtime, workload)
    lines = (line.partition(":") for line in site.output(workload).splitlines())
    status = {name: value.split() for name, _, value in lines}
    assert status["Uid"] == [NOBODY] * 4
    assert status["Gid"] == [NOBODY] * 4
    assert status["Groups"] in ([], [NOBODY])
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert set(status[name][0]) == {"0"}
    assert status["NoNewPrivs"] == ["1"]
    if any("name=seccomp" in option for option in site.client.info()["SecurityOptions"]):
        assert status["Seccomp"] == ["2"]


async def test_it_sees_nothing_of_the_machine_but_itself(
    site: Site, runtime: DockerRuntime
) -> None:
    questions = (
        "ls /sys/class/net",
        "wc -l < /proc/net/route",
        "find / -type s 2>/dev/null | wc -l",
        "cat /proc/[0-9]*/comm | sort -u",
        "ls /dev",
        "head -c 1 /proc/kcore 2>/dev/null | wc -c",
        "cut -d: -f3 /proc/self/cgroup | sort -u",
        "cat /proc/keys 2>/dev/null | wc -l",
    )
    workload = site.shell("; ".join(f"echo $({question})" for question in questions))
    await ran(runtime, workload)
    net, route, sockets, processes, devices, kcore, cgroup, keys = site.output(
        workload
    ).splitlines()
    assert (net, route, sockets, kcore, keys) == ("lo", "1", "0", "0", "0")
    assert set(processes.split()) <= {"docker-init", "sh", "cat", "sort", "tr", "busybox"}
    assert cgroup == "/"
    assert set(devices.split()) <= {
        *("core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm"),
        *("stderr", "stdin", "stdout", "tty", "urandom", "zero"),
    }


async def test_a_fork_bomb_stops_at_the_site_s_number(site: Site) -> None:
    runtime = site.new_runtime(confinement=Confinement(max_pids=20))
    await runtime.open()
    try:
        workload = site.shell("n=0; while :; do sleep 1000 & n=$((n+1)); echo $n; done")
        seen = await ran(runtime, workload)
    finally:
        await runtime.aclose()
    assert seen.exit_code != 0
    counted = [line for line in site.output(workload).splitlines() if line.isdecimal()]
    assert 10 < int(counted[-1]) < 20


async def test_temporary_files_are_bounded(site: Site) -> None:
    runtime = site.new_runtime(confinement=Confinement(tmp_bytes=MIB))
    await runtime.open()
    try:
        workload = site.shell(
            "head -c 2097152 /dev/zero > /tmp/large 2>/dev/null || wc -c < /tmp/large"
        )
        await ran(runtime, workload)
    finally:
        await runtime.aclose()
    assert site.output(workload).splitlines()[-1] == str(MIB)


async def test_memory_is_bounded_and_temporary_files_count(
    site: Site, runtime: DockerRuntime
) -> None:
    resources = Resources(memory_bytes=32 * MIB)
    workload = site.shell("head -c 67108864 /dev/zero > /tmp/large", resources=resources)
    seen = await ran(runtime, workload)
    assert seen.oom_killed
    assert seen.exit_code != 0


async def test_a_file_system_below_the_data_is_no_way_to_write(
    site: Site, runtime: DockerRuntime, binds: tuple[Bind, ...]
) -> None:
    below = binds[0].source / "below"
    below.mkdir(mode=0o777)
    if await asyncio.to_thread(subprocess.call, ["mount", "-t", "tmpfs", "none", below]) != 0:
        pytest.skip("this machine mounts nothing")
    try:
        below.chmod(0o777)
        workload = site.shell("touch /data/below/mine", binds=binds)
        assert (await ran(runtime, workload)).exit_code != 0
        assert list(below.iterdir()) == []
        await runtime.remove(workload.party_run_id)
    finally:
        await asyncio.to_thread(subprocess.check_call, ["umount", below])


async def test_data_that_are_gone_are_not_made_again(
    site: Site, runtime: DockerRuntime, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    workload = site.shell("true", binds=(Bind(source=gone, target="/data"),))
    with pytest.raises((RuntimeRefused, RuntimeUnavailable)):
        await runtime.prepare(workload, ignore)
    assert not gone.exists()


async def test_the_engine_s_socket_is_no_data(site: Site, runtime: DockerRuntime) -> None:
    for source in ("/", "/run", "/run/docker.sock"):
        workload = site.shell("true", binds=(Bind(source=Path(source), target="/data"),))
        with pytest.raises(RuntimeRefused) as refusal:
            await runtime.prepare(workload, ignore)
        assert refusal.value.reason is Reason.POLICY_DENIED
        assert not site.exists(workload)


async def test_a_template_s_root_is_refused_before_there_is_a_container(
    site: Site, runtime: DockerRuntime
) -> None:
    workload = site.shell("true", user="0")
    with pytest.raises(RuntimeRefused) as refusal:
        await runtime.prepare(workload, ignore)
    assert refusal.value.reason is Reason.POLICY_DENIED
    assert not site.exists(workload)


async def test_a_site_may_add_a_group_that_reads_its_data(
    site: Site, binds: tuple[Bind, ...]
) -> None:
    secret = binds[0].source / "secret"
    secret.chmod(0o640)
    try:
        os.chown(secret, -1, 4242)
    except PermissionError:
        pytest.skip("only root gives files to other groups")
    runtime = site.new_runtime(confinement=Confinement(groups=(4242,)))
    await runtime.open()
    try:
        workload = site.shell("cat /data/secret", binds=binds)
        assert (await ran(runtime, workload)).exit_code == 0
    finally:
        await runtime.aclose()
