import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import party_agent
from flow_contract.lifecycle import PartyRunState
from party_agent.cli import agent
from party_agent.runtime.confinement import Confinement, RootMode
from party_agent.runtimes import agent_key, confinement
from party_agent.settings import AgentSettings
from tests.agent.fake_server import FakeServer
from tests.agent.fakes import make_assignment, until

ROOT = Path(party_agent.__file__).parent.parent
START = "from party_agent.cli import agent; agent()"


def run_python(*arguments, **options):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "sdk"), str(ROOT)])}
    return subprocess.Popen(
        [sys.executable, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["--server: Field required", "--party: Field required"]),
        (["--server", "host"], ["--server: 'host' is not HOST:PORT"]),
        (["--server", "host:0"], ["--server: 'host:0' is not HOST:PORT"]),
        (["--server", "host:99999"], ["--server: 'host:99999' is not HOST:PORT"]),
        (["--party", "a b"], ["--party: 'a b' can't name a party"]),
        (["--workload-user", "root"], ["--workload-user: 'root' is not UID:GID"]),
        (["--workload-user", "0:5"], ["--workload-user: '0:5' is not UID:GID"]),
        (["--workload-groups", "5,0"], ["--workload-groups: "]),
        (["--data", "x"], ["--data: 'x' is not NAME=PATH"]),
        (["--data", "a=/", "--data", "a=/tmp"], ["--data: 'a' is given twice"]),
        (["--data", "a=/no/such"], ["--data: a=/no/such: there is no such path"]),
        (["--data", "a/b=/"], ["--data: 'a/b' can't name data"]),
        (["--gpus", "0,0"], ["--gpus: each id must be named once"]),
        (["--warm-sandboxes", "-1"], ["--warm-sandboxes:"]),
        (["--runtime", "podman"], ["--runtime"]),
    ],
)
def test_a_bad_value_names_its_option_and_ends_with_2(arguments, words):
    result = CliRunner().invoke(agent, ["--insecure", *arguments])
    assert result.exit_code == 2
    for word in words:
        assert word in result.output


def test_all_problems_are_said_at_once():
    result = CliRunner().invoke(
        agent, ["--insecure", "--server", "x", "--party", "", "--data", "y"]
    )
    assert all(option in result.output for option in ("--server:", "--party:", "--data:"))


def test_settings_that_contradict_one_another_are_named():
    environment = {"FEDFLOW_AGENT_FIRST_BACKOFF_S": "5", "FEDFLOW_AGENT_MAX_BACKOFF_S": "2"}
    arguments = ["--insecure", "--server", "127.0.0.1:1", "--party", "hospital-a"]
    result = CliRunner().invoke(agent, arguments, env=environment)
    assert result.exit_code == 2
    assert "FEDFLOW_AGENT_FIRST_BACKOFF_S: 5 is more than" in result.output
    assert "max_backoff_s=2" in result.output


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from party_agent import cli;"
        "print([name for name in ('grpc', 'pydantic', 'docker', 'structlog') "
        "if name in sys.modules])"
    )
    with run_python("-c", code) as process:
        assert process.stdout.read().strip() == "[]"


def test_settings_do_not_change():
    settings = AgentSettings(server="host:1", party="a")
    with pytest.raises(ValueError, match="frozen"):
        settings.party = "b"


def test_a_root_that_is_a_link_is_offered_as_what_lies_behind_it(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    settings = AgentSettings(server="host:1", party="a", data={"scans": tmp_path / "link"})
    assert settings.data == {"scans": (tmp_path / "real").resolve()}


def test_the_site_s_choices_reach_its_workloads_and_its_own_files_do_not(tmp_path):
    settings = AgentSettings(
        server="host:1",
        party="a",
        workload_user="1500:1600",
        workload_groups=(44,),
        allow_root=True,
        read_only_root="never",
        tmp_bytes=2**20,
        max_pids=99,
    )
    assert confinement(settings, tmp_path, default_user=(7, 7)) == Confinement(
        user=(1500, 1600),
        groups=(44,),
        allow_root=True,
        root_mode=RootMode.WRITABLE,
        tmp_bytes=2**20,
        max_pids=99,
        off_limits=(tmp_path,),
    )
    settings = AgentSettings(server="host:1", party="a")
    assert confinement(settings, tmp_path, default_user=(7, 7)) == Confinement(
        user=(7, 7), off_limits=(tmp_path,)
    )


def test_agents_of_one_party_in_two_directories_keep_their_containers_apart(tmp_path):
    settings = AgentSettings(server="host:1", party="a")
    keys = {agent_key(settings, tmp_path / name) for name in ("x", "y", "x")}
    assert len(keys) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_command_serves_until_it_is_told_to_end(tmp_path, number):
    server = await FakeServer().start()
    ready = tmp_path / "ready.json"
    process = run_python(
        *(
            "-c",
            START,
            "--insecure",
            "--server",
            server.address,
            "--party",
            "hospital-a",
            "--runtime",
            "memory",
        ),
        *("--state-dir", str(tmp_path / "state"), "--ready-file", str(ready), "--gpus", "x,y"),
        *("--on-exit", "stop", "--log-json"),
    )
    try:
        await until(ready.exists)
        assert json.loads(ready.read_text())["party"] == "hospital-a"
        assert list(server.hellos[0].inventory.gpu_ids) == ["x", "y"]
        server.assign(make_assignment())
        await server.until_state(PartyRunState.RUNNING)
        process.send_signal(number)
        output, errors = await asyncio.to_thread(process.communicate)
        assert (process.returncode, output) == (0, "")
        assert server.latest().state is PartyRunState.STOPPED
        events = [json.loads(line)["event"] for line in errors.splitlines()]
        assert events[0] == "agent_started"
        assert events[-1] == "agent_stopped"
    finally:
        process.kill()
        process.communicate()
        await server.stop()


async def test_a_directory_in_use_is_said_in_one_line(tmp_path):
    server = await FakeServer().start()
    arguments = (
        *(
            "-c",
            START,
            "--insecure",
            "--server",
            server.address,
            "--party",
            "hospital-a",
            "--runtime",
            "memory",
        ),
        *("--state-dir", str(tmp_path)),
    )
    first = run_python(*arguments)
    try:
        await server.until(lambda: server.hellos)
        second = run_python(*arguments)
        _, errors = await asyncio.to_thread(second.communicate)
        assert second.returncode == 1
        assert errors.splitlines()[-1].startswith("fedflow agent: another agent is using")
    finally:
        first.kill()
        first.communicate()
        await server.stop()
