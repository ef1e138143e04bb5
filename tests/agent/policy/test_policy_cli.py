"""`fedflow agent policy`, `pending` and `approve`, as the site's people type them."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from structlog.testing import capture_logs

import party_agent
from flow_contract.lifecycle import PartyRunState
from party_agent.cli import agent
from tests.agent.fakes import make_assignment

S = PartyRunState
MANUAL = "[approval]\nmode = 'manual'\n"
ROOT = Path(party_agent.__file__).parent.parent
TEMPLATE = {"name": "study-1", "image_url": "trainer:1", "command": ["run"]}


def run(*arguments, **options):
    return CliRunner().invoke(agent, [str(each) for each in arguments], **options)


@pytest.fixture
def file(tmp_path):
    (tmp_path / "scans").mkdir()
    path = tmp_path / "policy.toml"
    path.write_text(
        f"""
[images]
allowed = ["trainer:*"]
[users]
allowed = ["alice"]
[data]
roots = ["{tmp_path}"]
[data.names.scans]
path = "{tmp_path}/scans"
[limits]
max_gpus = 1
"""
    )
    return path


@pytest.fixture
def template(tmp_path):
    path = tmp_path / "template.json"
    path.write_text(json.dumps(TEMPLATE))
    return path


def test_a_good_file_is_ok(file):
    result = run("policy", "check", "--policy", file)
    assert (result.exit_code, result.output) == (0, f"{file}: ok\n")


def test_a_bad_file_is_told_with_all_its_lines(file):
    file.write_text("[image]\n[limits]\nmax_gpus = 'x'\n")
    result = run("policy", "check", "--policy", file)
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        f"{file}:1: image is not known; did you mean images?",
        f"{file}:3: limits.max_gpus must be a whole number, 0 or more, not 'x'",
    ]


def test_data_that_are_not_there_or_lead_out_are_told(file, tmp_path):
    (tmp_path / "out").symlink_to("/etc")
    more = f"[data.names.gone]\npath = '{tmp_path}/gone'\n[data.names.out]\npath = '{tmp_path}/out'"
    file.write_text(f"{file.read_text()}{more}\n")
    result = run("policy", "check", "--policy", file)
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        f"{file}: data.names.gone.path: there is no such path",
        f"{file}: data.names.out.path: lies outside data.roots",
    ]


def test_explain_says_rule_by_rule_what_the_site_would_answer(file, template):
    result = run("policy", "explain", template, "--policy", file, "--user", "alice")
    assert result.exit_code == 0
    assert "allowed  images.allowed" in result.output
    assert result.output.endswith("This site's answer: allowed.\n")


@pytest.mark.parametrize(
    ("changes", "options", "rule"),
    [
        ({}, ["--user", "bob"], "users.allowed"),
        ({}, [], "users.allowed"),
        ({"image_url": "other:1"}, ["--user", "alice"], "images.allowed"),
        ({"resources": {"gpus": {"count": 2}}}, ["--user", "alice"], "limits.max_gpus"),
        ({"network": "bridge"}, ["--user", "alice"], "network.mode"),
        ({}, ["--user", "alice", "--data", "bones"], "data.names"),
        ({}, ["--user", "alice", "--data", "scans/.."], "data.roots"),
        ({"env": {"FEDFLOW_X": "1"}}, ["--user", "alice"], "request.form"),
    ],
)
def test_explain_names_the_rule_that_refuses(file, template, changes, options, rule):
    template.write_text(json.dumps({**TEMPLATE, **changes}))
    result = run("policy", "explain", template, "--policy", file, "--json", *options)
    assert result.exit_code == 1
    answer = json.loads(result.output)
    assert answer["allowed"] is False
    assert next(each["rule"] for each in answer["findings"] if not each["allowed"]) == rule


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.yaml", "name: study-1\nimage_url: trainer:1\nresources: {cpus: 1}\n"),
        ("t.yml", "name: study\nimage_url: trainer:1\n"),
        ("t.toml", "name = 'study'\nimage_url = 'trainer:1'\ncommand = ['run']\n"),
    ],
)
def test_a_template_may_be_yaml_or_toml(file, tmp_path, name, text):
    (tmp_path / name).write_text(text)
    template = tmp_path / name
    result = run("policy", "explain", template, "--policy", file, "--user", "alice")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", ["Expecting"]),
        ("[]", ["must hold one template"]),
        (
            '{"image": "a", "command": 3}',
            ["image: is not known; did you mean image_url", "command:"],
        ),
        ("{}", ["image_url: Field required"]),
    ],
)
def test_a_file_that_is_no_template_is_told(file, template, text, words):
    template.write_text(text)
    result = run("policy", "explain", template, "--policy", file)
    assert result.exit_code == 1
    assert [word for word in words if word not in result.output] == []


def test_help_of_every_command_imports_nothing_heavy():
    code = (
        "import sys; from party_agent.cli import agent\n"
        "for words in ([], ['policy'], ['policy', 'check'], ['policy', 'explain'], ['approve'],"
        " ['pending']):\n"
        "    try: agent([*words, '--help'])\n"
        "    except SystemExit as end: assert end.code == 0\n"
        "heavy = ('grpc', 'pydantic', 'docker', 'structlog', 'yaml', 'sqlite3', 'asyncio')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "sdk"), str(ROOT)])}
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.splitlines()[-1] == "[]"


async def typed(ruled, *arguments):
    # The agent runs in this process too: what it logs meanwhile is no word of the command.
    with capture_logs():
        return await asyncio.to_thread(run, *arguments, "--state-dir", ruled.state_dir)


async def test_a_run_is_listed_and_approved_by_its_digest(ruled):
    await ruled.start(MANUAL)
    assert (await typed(ruled, "pending")).output == "No run waits for approval.\n"
    ruled.server.assign(make_assignment(env={"LR": "\x1b[2J"}))
    (shown,) = await ruled.until_pending()
    listed = await typed(ruled, "pending")
    assert "trainer:1" in listed.output
    assert shown["digest"] in listed.output
    assert "\x1b" not in listed.output
    assert json.loads((await typed(ruled, "pending", "--json")).output) == [shown]
    done = await typed(ruled, "approve", "r" * 32, "--digest", shown["digest"][:16])
    assert done.exit_code == 0, done.output
    await ruled.server.until_state(S.RUNNING)


@pytest.mark.parametrize(
    ("options", "words", "exit_code"),
    [
        (["--digest", "0" * 64], "what waits is not of this digest", 1),
        (["--digest", "0"], "give at least 16 characters", 2),
        ([], "nobody is there to be asked", 2),
    ],
)
async def test_nothing_is_approved_that_nobody_looked_at(ruled, options, words, exit_code):
    await ruled.start(MANUAL)
    ruled.server.assign(make_assignment())
    await ruled.until_pending()
    result = await typed(ruled, "approve", "run1", *options)
    assert (result.exit_code, words in result.output) == (exit_code, True)
    assert ruled.starts == {}


async def test_a_run_is_denied(ruled):
    await ruled.start(MANUAL)
    ruled.server.assign(make_assignment())
    await ruled.until_pending()
    result = await typed(ruled, "approve", "run1", "--deny", "--yes")
    assert "is refused at this site" in result.output
    await ruled.server.until_state(S.REFUSED)


async def test_of_several_runs_the_named_one_is_approved(ruled):
    await ruled.start(MANUAL)
    ruled.server.assign(make_assignment("run1"), make_assignment("run2", order=2))
    await ruled.until_pending(2)
    # Both are shares of the run "r…": a server that says so twice is asked for more.
    both = await typed(ruled, "approve", "rrr", "--yes")
    assert "several runs begin with rrr" in both.output
    assert "no run x waits" in (await typed(ruled, "approve", "x", "--yes")).output
    assert (await typed(ruled, "approve", "run2", "--yes")).exit_code == 0
    await ruled.server.until_state(S.RUNNING, "run2")
    assert ruled.starts == {"run2": 1}


def test_without_an_agent_the_commands_say_what_to_do(tmp_path):
    result = run("pending", "--state-dir", tmp_path)
    assert result.exit_code == 1
    assert "no agent answers" in result.output


def test_the_only_agent_of_the_machine_needs_no_name(tmp_path):
    home = {"HOME": str(tmp_path), "FEDFLOW_AGENT_STATE_DIR": "", "FEDFLOW_AGENT_PARTY": ""}
    assert "name the agent" in run("pending", env=home).output
    (tmp_path / ".local/state/fedflow/agents/hospital-a").mkdir(parents=True)
    assert "no agent answers" in run("pending", env=home).output
    assert "agents/hospital-b" in run("pending", "--party", "hospital-b", env=home).output


def test_an_agent_does_not_start_with_a_broken_policy(tmp_path):
    (tmp_path / "p.toml").write_text("[x]\n")
    code = "from party_agent.cli import agent; agent()"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "sdk"), str(ROOT)])}
    ended = subprocess.run(
        [
            *(sys.executable, "-c", code, "--insecure", "--server", "127.0.0.1:1", "--party", "a"),
            *("--runtime", "memory", "--policy", str(tmp_path / "p.toml")),
        ],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert f"{tmp_path}/p.toml:1: x is not known" in ended.stderr
