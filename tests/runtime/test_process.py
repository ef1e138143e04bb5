import asyncio
import dataclasses
import os
import signal
import sys
from pathlib import Path

import pytest
import structlog

from flow_contract.reasons import Reason
from flow_contract.templates import Resources
from party_agent.runtime import process_spec, supervisor
from party_agent.runtime.port import Bind, Phase, Runtime, RuntimeRefused
from party_agent.runtime.process import ProcessRuntime
from party_agent.runtime.process_state import Scratch, is_alive
from tests.runtime.harness import DEADLINE_S, Dump, Exit, Harness, RunUntilStopped, until
from tests.runtime.log_suite import LogBehaviour
from tests.runtime.suite import RuntimeBehaviour, all_exit, exited, ignore, started

AGENT_HOST = Path(__file__).with_name("agent_host.py")


def processes_of(folder: Path) -> list[int]:
    """Return the pids of all live processes that carry the scratch directory's mark."""
    mark = f"{process_spec.MARK}={folder}".encode()
    found = []
    for pid in supervisor.process_ids():
        try:
            if mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.append(pid)
        except OSError:
            continue
    return found


class ProcessHarness(Harness):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.state_dir = folder / "state"

    def new_runtime(self) -> Runtime:
        return ProcessRuntime(self.state_dir, environ=os.environ)

    def ended(self, party_run_id: str) -> bool:
        return (self.state_dir / party_run_id / supervisor.ENDED).exists()

    async def leftovers(self, party_run_id: str) -> list[str]:
        folders = [path.name for path in self.state_dir.iterdir() if party_run_id in path.name]
        return folders + [str(pid) for pid in processes_of(self.state_dir / party_run_id)]


@pytest.fixture
async def harness(tmp_path):
    harness = ProcessHarness(tmp_path)
    yield harness
    await harness.aclose()


class TestProcessRuntime(RuntimeBehaviour):
    # Turned round below: images are ignored.
    test_an_image_that_does_not_exist_is_refused_and_leaves_nothing = None


class TestProcessLogs(LogBehaviour):
    pass


@pytest.fixture
async def runtime(harness):
    runtime = harness.new_runtime()
    await runtime.open()
    yield runtime
    await runtime.aclose()


def running(harness, *command, **changes):
    workload = harness.workload(Exit(code=0))
    return dataclasses.replace(workload, command=command, **changes)


def shell(harness, text, **changes):
    return running(harness, "sh", "-c", text, **changes)


def record(harness, party_run_id, name):
    return Scratch(harness.state_dir, party_run_id)._record(name)


def text_of(harness, workload, name):
    return (harness.output(workload.party_run_id) / name).read_text().strip()


async def ended(runtime, workload):
    await started(runtime, workload)
    return await exited(runtime, workload.party_run_id)


# --- what lives and dies with what


async def test_the_missing_isolation_is_said_aloud(harness):
    runtime = harness.new_runtime()
    with structlog.testing.capture_logs() as logs:
        await runtime.open()
    await runtime.aclose()
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("isolation_missing", "warning")
    ]


async def test_an_image_is_ignored_and_that_is_logged(harness, runtime):
    workload = harness.workload(Exit(code=0), image_url="no.such.registry/at/all:9")
    with structlog.testing.capture_logs() as logs:
        assert (await ended(runtime, workload)).exit_code == 0
    assert ("image_ignored", workload.image_url) in [
        (entry["event"], entry.get("image")) for entry in logs
    ]


@pytest.mark.parametrize("watched", [True, False])
async def test_a_killed_supervisor_takes_its_workload_along_and_leaves_no_code(
    harness, runtime, watched
):
    workload = shell(
        harness, 'sleep 1000 & setsid sleep 1000 & echo x > "$FEDFLOW_OUTPUT_DIR/starts"; wait'
    )
    await started(runtime, workload)
    await until(lambda: harness.starts(workload.party_run_id))
    if not watched:
        await runtime.aclose()
    claim = record(harness, workload.party_run_id, supervisor.CLAIM)
    os.kill(claim["pid"], signal.SIGKILL)
    await until(lambda: not is_alive(claim))
    if watched:
        await all_exit(runtime, workload.party_run_id)
    else:
        runtime = harness.new_runtime()
        await runtime.open()
    seen = await runtime.inspect(workload.party_run_id)
    assert (seen.phase, seen.exit_code, seen.finished_at) == (Phase.EXITED, None, None)
    await until(lambda: not processes_of(harness.state_dir / workload.party_run_id))
    again = await runtime.launch(workload)
    assert (again.phase, harness.starts(workload.party_run_id)) == (Phase.EXITED, 1)
    await runtime.aclose()


async def test_a_killed_agent_leaves_its_workload_running_and_the_next_adopts_it(harness):
    workload = harness.workload(Exit(code=23, when_released=True))
    host = await asyncio.create_subprocess_exec(
        sys.executable,
        AGENT_HOST,
        harness.state_dir,
        workload.party_run_id,
        harness.output(workload.party_run_id),
        *workload.command,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    async with asyncio.timeout(DEADLINE_S):
        while (line := await host.stdout.readline()) != b"launched\n":
            assert line, "the agent host ended before it launched"
        host.kill()
        await host.wait()
    runtime = harness.new_runtime()
    await runtime.open()
    try:
        (found,) = await runtime.list()
        assert found.phase is Phase.RUNNING
        harness.release(workload.party_run_id)
        await all_exit(runtime, workload.party_run_id)
        seen = await runtime.launch(workload)
        assert (seen.phase, seen.exit_code) == (Phase.EXITED, 23)
        assert harness.starts(workload.party_run_id) == 1
    finally:
        await runtime.aclose()


async def test_stop_kills_the_whole_group_grandchildren_and_daemons_included(harness, runtime):
    stubborn = "trap '' TERM; while :; do sleep 1; done"
    text = f'({stubborn}) & setsid sh -c "{stubborn}" & echo x > "$FEDFLOW_OUTPUT_DIR/starts"; '
    workload = shell(harness, text + stubborn)
    await started(runtime, workload)
    await until(lambda: harness.starts(workload.party_run_id))
    await runtime.stop(workload.party_run_id, grace_s=0.2)
    assert (await runtime.inspect(workload.party_run_id)).exit_code == 137
    assert processes_of(harness.state_dir / workload.party_run_id) == []


async def test_what_a_workload_leaves_in_the_background_ends_with_it(harness, runtime):
    workload = shell(harness, "sleep 1000 & setsid sleep 1000 & exit 4")
    assert (await ended(runtime, workload)).exit_code == 4
    assert processes_of(harness.state_dir / workload.party_run_id) == []


async def test_a_supervisor_that_does_not_answer_can_be_stopped(harness):
    runtime = ProcessRuntime(harness.state_dir, environ=os.environ, kill_timeout_s=0.2)
    await runtime.open()
    workload = harness.workload(RunUntilStopped())
    await started(runtime, workload)
    os.kill(record(harness, workload.party_run_id, supervisor.CLAIM)["pid"], signal.SIGSTOP)
    await runtime.stop(workload.party_run_id, grace_s=0.2)
    assert (await runtime.inspect(workload.party_run_id)).phase is Phase.EXITED
    await until(lambda: not processes_of(harness.state_dir / workload.party_run_id))
    await runtime.aclose()


async def test_an_ended_supervisor_leaves_no_zombie(harness, runtime):
    workload = harness.workload(Exit(code=0))
    await started(runtime, workload)
    claim = record(harness, workload.party_run_id, supervisor.CLAIM)
    await all_exit(runtime, workload.party_run_id)
    assert claim["pid"] not in supervisor.process_ids()


# --- one start at most


async def test_two_agents_over_one_state_start_one_process(harness):
    runtimes = [harness.new_runtime() for _ in range(2)]
    for runtime in runtimes:
        await runtime.open()
    workload = harness.workload(RunUntilStopped())
    await runtimes[0].prepare(workload, ignore)
    first, second = await asyncio.gather(*(runtime.launch(workload) for runtime in runtimes))
    assert first == second
    await until(lambda: harness.starts(workload.party_run_id))
    assert harness.starts(workload.party_run_id) == 1
    for runtime in runtimes:
        await runtime.aclose()


@pytest.mark.parametrize("mark", [supervisor.CLAIM, supervisor.STOPPED])
async def test_a_late_supervisor_starts_nothing_that_was_claimed_or_stopped(harness, runtime, mark):
    workload = harness.workload(Exit(code=0))
    await runtime.prepare(workload, ignore)
    folder = harness.state_dir / workload.party_run_id
    # As a supervisor leaves it that died, or a stop that came between launch and start.
    supervisor.write_record(folder, mark, {"pid": 1, "start_ticks": -1, "boot_id": "other"})
    late = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", supervisor.__file__, folder, stdout=asyncio.subprocess.PIPE
    )
    await late.communicate()
    assert late.returncode == 0
    assert harness.starts(workload.party_run_id) == 0
    assert not (folder / supervisor.STARTED).exists()


async def test_a_launch_after_a_stop_is_refused_and_leaves_nothing(harness, runtime):
    workload = harness.workload(Exit(code=0))
    await runtime.prepare(workload, ignore)
    await runtime.stop(workload.party_run_id, grace_s=1)
    with pytest.raises(RuntimeRefused) as refused:
        await runtime.launch(workload)
    assert refused.value.reason is Reason.STOPPED_BY_USER
    assert await harness.leftovers(workload.party_run_id) == []
    assert harness.starts(workload.party_run_id) == 0


def test_a_stranger_that_got_the_supervisors_pid_is_not_taken_for_it():
    own = {
        "pid": os.getpid(),
        "start_ticks": supervisor.start_ticks(os.getpid()),
        "boot_id": supervisor.boot_id(),
    }
    assert is_alive(own)
    assert not is_alive(own | {"start_ticks": own["start_ticks"] - 1})
    assert not is_alive(own | {"boot_id": "of yesterday"})


@pytest.mark.parametrize("party_run_id", ["", "..", "a/b", ".removed-x", "x" * 65])
def test_a_party_run_id_that_could_leave_the_state_directory_is_not_one(tmp_path, party_run_id):
    with pytest.raises(ValueError, match="not a party run id"):
        Scratch(tmp_path, party_run_id)


# --- what a workload gets


async def test_a_workload_gets_the_hosts_paths_of_its_binds(harness, runtime, tmp_path):
    data = tmp_path / "hospital data"
    data.mkdir()
    workload = harness.workload(Dump(), env={"FEDFLOW_DATA_DIR": "/data"})
    workload = dataclasses.replace(
        workload,
        binds=(
            *workload.binds,
            Bind(source=data, target="/data"),
            Bind(source=data, target="/mnt/more"),
        ),
    )
    await ended(runtime, workload)
    lines = text_of(harness, workload, "env").splitlines()
    output = harness.output(workload.party_run_id)
    assert f"FEDFLOW_DATA_DIR={data}" in lines
    assert f"FEDFLOW_OUTPUT_DIR={output}" in lines
    mounts = f'{{"/output": "{output}", "/data": "{data}", "/mnt/more": "{data}"}}'
    assert f"FEDFLOW_MOUNTS={mounts}" in lines


async def test_the_agents_own_environment_and_files_stay_with_the_agent(harness, tmp_path):
    environ = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "AGENT_TOKEN": "secret"}
    runtime = ProcessRuntime(harness.state_dir, environ=environ)
    await runtime.open()
    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)  # noqa: FBT003 - positional only
        text = 'env > "$FEDFLOW_OUTPUT_DIR/env"; ls -l /proc/$$/fd > "$FEDFLOW_OUTPUT_DIR/fd"'
        workload = shell(harness, text)
        await ended(runtime, workload)
    await runtime.aclose()
    env = dict(line.split("=", 1) for line in text_of(harness, workload, "env").splitlines())
    assert "AGENT_TOKEN" not in env
    assert "secret" not in " ".join(env.values())
    folder = harness.state_dir / workload.party_run_id
    assert (env["HOME"], env["TMPDIR"]) == (str(folder / "home"), str(folder / "tmp"))
    assert str(tmp_path / "open") not in text_of(harness, workload, "fd")
    assert folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("gpu_ids", "cuda", "nvidia"), [((), "", "void"), (("0", "3"), "0,3", "0,3")]
)
async def test_a_workload_sees_the_gpus_assigned_and_no_others(
    harness, runtime, gpu_ids, cuda, nvidia
):
    workload = harness.workload(Dump(), gpu_ids=gpu_ids)
    await ended(runtime, workload)
    lines = text_of(harness, workload, "env").splitlines()
    assert f"CUDA_VISIBLE_DEVICES={cuda}" in lines
    assert f"NVIDIA_VISIBLE_DEVICES={nvidia}" in lines


async def test_python_is_the_agents_own(harness, runtime):
    code = "import os, sys; print(sys.prefix, file=open(os.environ['OUT'], 'w'))"
    out = harness.folder / "prefix"
    workload = running(harness, "python", "-c", code, env={"OUT": str(out)})
    assert (await ended(runtime, workload)).exit_code == 0
    assert out.read_text().strip() == sys.prefix


async def test_memory_over_the_limit_can_not_be_allocated(harness, runtime):
    code = "x = bytearray(2**30)"
    limited = running(harness, "python", "-c", code, resources=Resources(memory_bytes=256 * 2**20))
    assert (await ended(runtime, limited)).exit_code == 1
    stderr = harness.state_dir / limited.party_run_id / "stderr.log"
    assert "MemoryError" in stderr.read_text()
    unlimited = running(harness, "python", "-c", code)
    assert (await ended(runtime, unlimited)).exit_code == 0


async def test_a_workdir_that_the_host_lacks_becomes_an_empty_directory(harness, runtime):
    workload = harness.workload(Dump(), workdir="/no/such/app")
    assert (await ended(runtime, workload)).exit_code == 0
    work = harness.state_dir / workload.party_run_id / "work"
    assert text_of(harness, workload, "pwd") == str(work)


# --- refusals


async def test_a_template_without_a_command_is_refused(harness, runtime):
    with pytest.raises(RuntimeRefused, match="no command") as refused:
        await runtime.prepare(running(harness), ignore)
    assert refused.value.reason is Reason.COMMAND_NOT_FOUND
    assert await runtime.list() == []


async def test_a_file_that_may_not_be_executed_is_refused_with_126(harness, runtime, tmp_path):
    script = tmp_path / "train.sh"
    script.write_text("#!/bin/sh\n")
    with pytest.raises(RuntimeRefused, match="Permission denied") as refused:
        await started(runtime, running(harness, "./train.sh", workdir=str(tmp_path)))
    assert (refused.value.reason, refused.value.exit_code) == (Reason.COMMAND_NOT_FOUND, 126)


@pytest.mark.parametrize(
    ("content", "exit_code"), [("#!/no/such/interpreter\n", 127), ("no program", 126)]
)
async def test_what_only_the_kernel_can_refuse_is_refused_at_launch_and_can_be_removed(
    harness, runtime, tmp_path, content, exit_code
):
    program = tmp_path / "program"
    program.write_text(content)
    program.chmod(0o755)
    workload = running(harness, str(program))
    await runtime.prepare(workload, ignore)
    for _ in range(2):
        # As often as it is asked: the first answer may have been lost with an agent.
        with pytest.raises(RuntimeRefused) as refused:
            await runtime.launch(workload)
        assert refused.value.exit_code == exit_code
        assert refused.value.reason is Reason.COMMAND_NOT_FOUND
    await runtime.remove(workload.party_run_id)
    assert await harness.leftovers(workload.party_run_id) == []
