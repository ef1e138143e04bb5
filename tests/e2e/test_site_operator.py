"""What docs/site-operator.md tells a site to do is done as it stands there."""

import configparser
import re
import shlex
import subprocess
import tomllib

import pytest

from party_agent.policy.load import load
from tests.e2e.processes import children
from tests.e2e.processes.secured import SecureServer

PAGE = (children.ROOT / "docs/site-operator.md").read_text()
PROJECT = tomllib.loads((children.ROOT / "pyproject.toml").read_text())["project"]


def block(name):
    return re.search(rf"<!-- begin {name}.*?```\w*\n(.*?)```\n<!-- end", PAGE, re.DOTALL)[1]


def commands():
    return block("commands").strip().splitlines()


def test_a_site_is_up_after_four_commands_at_most():
    assert len(commands()) <= 4


def test_what_is_installed_is_what_an_agent_needs():
    assert commands()[0].endswith("pip install 'fedflow[agent]'")
    assert {"cryptography", "docker", "pydantic-settings"} <= {
        re.split(r"[>=]", line)[0] for line in PROJECT["optional-dependencies"]["agent"]
    }


def test_the_policy_to_begin_with_can_be_followed():
    rules = load(block("policy").encode())
    assert rules.images.allowed == ("registry.example.org/federated/*",)
    assert list(rules.data.names) == ["scans"]


def test_the_unit_lets_workloads_run_on_and_starts_a_command_that_there_is():
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str
    unit.read_string(block("unit"))
    service = unit["Service"]
    # An agent's end, or its restart, is no reason to end what runs.
    assert service["KillMode"] == "process"
    options = re.findall(r"--[a-z-]+", service["ExecStart"])
    said = children.run("agent", "--help").stdout
    assert options
    assert [option for option in options if option not in said] == []


@pytest.fixture
def server(cluster, tmp_path):
    name = cluster.create(migrated=True)
    server = SecureServer(tmp_path / "server", "--database-url", cluster.url(name))
    server.start()
    yield server
    server.close()
    cluster.drop(name)


@pytest.fixture
def typed(tmp_path, server):
    """Turn a command of the page into what is run here, in the site's directory."""
    site = tmp_path / "site"
    (site / "srv").mkdir(parents=True)
    (site / "policy.toml").write_text(block("policy").replace("/srv/fedflow", str(site / "srv")))
    (site / "srv/scans").mkdir()

    def make(command):
        words = shlex.split(command.replace("flow.example.org:1235", server.address))
        assert words[0] == "fedflow/bin/fedflow"
        return children.command(*words[1:])

    make.options = {
        "cwd": site,
        "env": children.environment(HOME=site, FEDFLOW_AGENT_RUNTIME="process"),
        "text": True,
    }
    return make


@pytest.mark.postgres
def test_the_page_s_commands_bring_up_a_site_and_its_words_take_it_out_and_back(server, typed):
    _install, enrol, check, run = commands()

    def done(command, given=""):
        return subprocess.run(
            typed(command), input=given, capture_output=True, check=False, **typed.options
        )

    first = done(enrol, server.token_for("hospital-a"))
    assert first.returncode == 0, first.stderr
    assert done(check).returncode == 0
    with (typed.options["cwd"] / "log").open("wb") as log:
        agent = subprocess.Popen(typed(run), stdout=log, stderr=log, **typed.options)
    try:
        with server.sdk() as sdk:
            children.until(lambda: _is_connected(sdk), _log(typed))
            # When a key was stolen: revoke, add, enrol again; no restart.
            assert sdk.party.revoke("hospital-a")["ret_code"] == 0
            children.until(lambda: not _is_connected(sdk), _log(typed))
            again = done(f"{enrol} --again", server.token_for("hospital-a"))
            assert again.returncode == 0, again.stderr
            children.until(lambda: _is_connected(sdk), _log(typed))
    finally:
        agent.terminate()
        assert agent.wait(children.DEADLINE_S) == 0
    left = typed.options["cwd"] / ".local/state/fedflow/agents/.enrolling"
    assert list(left.iterdir()) == []


def _is_connected(sdk):
    answer = sdk.party.get("hospital-a")
    return answer["ret_code"] == 0 and answer["data"]["connected"]


def _log(typed):
    return (typed.options["cwd"] / "log").read_text
