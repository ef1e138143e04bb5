"""The pure parts of the Docker runtime: no engine needed."""

import io
import struct
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flow_contract.reasons import Reason
from flow_contract.templates import Network, Resources
from party_agent.runtime.docker_engine import commands, pause, refusals, translate
from party_agent.runtime.docker_engine.errors import EngineError
from party_agent.runtime.docker_engine.pulls import PullProgress
from party_agent.runtime.port import Bind, Phase, RuntimeRefused, RuntimeUnavailable, Workload
from tests.runtime.docker_support import CAGE


def workload(
    *command: str,
    workdir: str = "",
    env: dict[str, str] | None = None,
    binds: tuple[Bind, ...] = (),
    gpu_ids: tuple[str, ...] = (),
    network: Network = Network.NONE,
) -> Workload:
    return Workload(
        party_run_id="0" * 32,
        image_url="image:1",
        workdir=workdir,
        command=command,
        env=env or {},
        binds=binds,
        resources=Resources(),
        gpu_ids=gpu_ids,
        user="",
        network=network,
        labels={},
    )


def body(made: Workload, *, sandbox_id: str | None = "abc") -> dict[str, Any]:
    return translate.create_body(
        made,
        CAGE,
        agent_key="key",
        image_id="sha256:0",
        image_digest="sha256:1",
        sandbox_id=sandbox_id,
    )


def container(**state: Any) -> dict[str, Any]:
    never = "0001-01-01T00:00:00Z"
    return {
        "Config": {"Labels": {translate.LABEL_PARTY_RUN: "run", translate.LABEL_IMAGE: "sha256:1"}},
        "State": {
            "Status": "exited",
            "Running": False,
            "Dead": False,
            "OOMKilled": False,
            "ExitCode": 0,
            "StartedAt": never,
            "FinishedAt": never,
            **state,
        },
    }


# --- translate


def test_without_limits_the_engine_is_asked_for_none() -> None:
    host = body(workload("true"))["HostConfig"]
    assert not {"NanoCpus", "Memory", "MemorySwap", "ShmSize"} & set(host)
    assert host["DeviceRequests"] == []


def test_a_workload_without_a_sandbox_has_no_network_either() -> None:
    assert body(workload("true"), sandbox_id=None)["HostConfig"]["NetworkMode"] == "none"


def test_the_bridge_is_used_only_when_it_is_declared() -> None:
    assert body(workload("true"))["HostConfig"]["NetworkMode"] == "container:abc"
    made = workload("true", network=Network.BRIDGE)
    assert body(made, sandbox_id=None)["HostConfig"]["NetworkMode"] == "bridge"


def test_an_empty_command_leaves_the_images_own() -> None:
    assert body(workload())["Cmd"] is None


def test_the_spec_digest_changes_with_the_spec_only() -> None:
    bind = Bind(source=Path("/srv/data"), target="/data")
    first = workload("true", env={"A": "1", "B": "2"}, binds=(bind,))
    same = workload("true", env={"B": "2", "A": "1"}, binds=(bind,))
    other = workload("true", env={"A": "1", "B": "3"}, binds=(bind,))
    assert translate.spec_digest(first, CAGE) == translate.spec_digest(same, CAGE)
    assert translate.spec_digest(first, CAGE) != translate.spec_digest(other, CAGE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-21T08:21:58.477937723Z", datetime(2026, 11, 21, 8, 21, 58, 477937, UTC)),
        ("2026-11-21T08:21:58.4Z", datetime(2026, 11, 21, 8, 21, 58, 400000, UTC)),
        ("2026-11-21T08:21:58Z", datetime(2026, 11, 21, 8, 21, 58, 0, UTC)),
        ("2026-11-21T10:21:58.1+02:00", datetime(2026, 11, 21, 8, 21, 58, 100000, UTC)),
        ("0001-01-01T00:00:00Z", None),
    ],
)
def test_engine_times_become_aware_utc(text: str, expected: datetime | None) -> None:
    assert translate.engine_time(text) == expected


def test_a_workload_never_finishes_before_it_started() -> None:
    seen = translate.observation(
        container(StartedAt="2026-11-21T08:00:00.2Z", FinishedAt="2026-11-21T08:00:00.1Z")
    )
    assert seen is not None
    assert seen.finished_at == seen.started_at


def test_what_was_never_started_is_prepared_and_has_no_exit_code() -> None:
    seen = translate.observation(container(Status="created", ExitCode=128))
    assert seen is not None
    assert (seen.phase, seen.exit_code, seen.finished_at) == (Phase.PREPARED, None, None)


def test_what_is_just_being_removed_is_not_there() -> None:
    assert translate.observation(container(Status="removing")) is None


def test_the_registrys_digest_is_preferred_to_the_images_id() -> None:
    assert translate.image_digest({"Id": "sha256:1", "RepoDigests": []}) == "sha256:1"
    image = {"Id": "sha256:1", "RepoDigests": ["host:5000/name@sha256:2"]}
    assert translate.image_digest(image) == "sha256:2"


# --- commands


@pytest.mark.parametrize(
    ("made", "config", "expected"),
    [
        (workload("/bin/sh", "-c", "x"), {}, ("/bin/sh",)),
        (workload("./run", workdir="/job"), {}, ("/job/run",)),
        (workload("run"), {"Env": ["PATH=/a:/b"]}, ("/a/run", "/b/run")),
        (workload("run", env={"PATH": "/c"}), {"Env": ["PATH=/a:/b"]}, ("/c/run",)),
        (workload("x"), {"Entrypoint": ["/entry"]}, ("/entry",)),
        (workload(), {"Cmd": ["/default"]}, ("/default",)),
        (workload(), {}, ()),
    ],
)
def test_a_command_is_looked_for_where_the_container_would(
    made: Workload, config: dict[str, Any], expected: tuple[str, ...]
) -> None:
    assert commands.candidates(made, {"Config": config}) == expected


def test_directories_and_files_without_the_bit_are_not_executable() -> None:
    directory = 1 << 31
    assert commands.is_executable(0o755)
    assert not commands.is_executable(0o644)
    assert not commands.is_executable(directory | 0o755)


# --- refusals


def test_what_the_engine_misses_of_its_own_is_not_blamed_on_the_image() -> None:
    error = EngineError(400, 'exec: "docker-init": executable file not found in $PATH')
    refused = refusals.of_start(workload("true"), error)
    assert isinstance(refused, RuntimeRefused)
    assert refused.reason is Reason.RUNTIME_ERROR


def test_a_driver_that_refuses_an_assigned_gpu_means_that_there_is_no_such_gpu() -> None:
    error = EngineError(500, "OCI runtime create failed: error running hook #0: exit status 1")
    with_gpu = refusals.of_start(workload("true", gpu_ids=("9",)), error)
    without = refusals.of_start(workload("true"), error)
    assert isinstance(with_gpu, RuntimeRefused)
    assert isinstance(without, RuntimeRefused)
    assert (with_gpu.reason, without.reason) == (Reason.GPU_UNAVAILABLE, Reason.RUNTIME_ERROR)


def test_an_engine_that_is_just_starting_or_ending_is_unavailable() -> None:
    assert isinstance(
        refusals.of_start(workload("true"), EngineError(503, "busy")), RuntimeUnavailable
    )


# --- pause


@pytest.mark.parametrize(("architecture", "machine"), [("amd64", 62), ("arm64", 183)])
def test_the_pause_program_is_a_whole_elf_file(architecture: str, machine: int) -> None:
    program = pause.program(architecture)
    assert program[:6] == b"\x7fELF\x02\x01"
    assert struct.unpack_from("<HH", program, 16) == (2, machine)
    entry, table = struct.unpack_from("<QQ", program, 24)
    base, _, file_bytes, memory_bytes = struct.unpack_from("<QQQQ", program, table + 16)
    assert file_bytes == memory_bytes == len(program)
    assert entry - base == 64 + 56


def test_the_pause_program_of_amd64_has_129_bytes() -> None:
    assert len(pause.program("amd64")) == 129


def test_the_pause_image_holds_nothing_else() -> None:
    with tarfile.open(fileobj=io.BytesIO(pause.archive("amd64"))) as tar:
        assert [(entry.name, entry.mode) for entry in tar] == [("pause", 0o755)]


# --- pulls


def test_pull_progress_changes_when_a_layer_is_complete() -> None:
    progress = PullProgress("image:1")
    assert not progress.tell({"status": "Pulling fs layer", "id": "a"})
    assert not progress.tell({"status": "Pulling fs layer", "id": "b"})
    assert not progress.tell({"status": "Downloading", "id": "a"})
    assert progress.tell({"status": "Pull complete", "id": "a"})
    assert progress.text == "Pulling image:1: 1 of 2 layers"
