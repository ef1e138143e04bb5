"""What an operator is told who starts a server or an agent wrongly."""

import shlex
import socket
import tempfile
from pathlib import Path

import asyncpg
import pytest

from tests.e2e.processes.children import run
from tests.e2e.processes.federation import Server, Site


@pytest.fixture
def server(database_url, tmp_path):
    server = Server(tmp_path / "server", "--database-url", database_url)
    server.start()
    yield server
    server.close()


async def set_revision(url, revision):
    connection = await asyncpg.connect(url)
    await connection.execute("UPDATE alembic_version SET version_num = $1", revision)
    # And it asks for code of its own time.
    await connection.execute("UPDATE compatibility SET oldest_code = $1", revision)
    await connection.close()


def refuse(*arguments, **settings):
    """Run a server that does not start; return what it says, which is one line."""
    ended = run("server", "--insecure", "--port", 0, "--http-port", 0, "--relay-port", 0,
                *arguments, **settings)  # fmt: skip
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    [line] = [line for line in ended.stderr.splitlines() if line.startswith("Error: ")]
    return line


def test_a_database_without_the_schema_is_refused_with_the_command_that_helps(empty_url, tmp_path):
    said = refuse("--database-url", empty_url)
    assert "has no Fedflow schema yet" in said
    _, _, advice = said.partition("run: fedflow ")
    upgraded = run(*shlex.split(advice))
    assert upgraded.returncode == 0, upgraded.stderr

    server = Server(tmp_path, "--database-url", empty_url)
    server.start()
    server.close()


async def test_a_database_newer_than_the_server_is_refused_with_what_to_upgrade(database_url):
    await set_revision(database_url, "9999_from_the_future")
    said = refuse("--database-url", database_url)
    assert "9999_from_the_future" in said
    assert "newer than" in said
    assert "upgrade this server" in said
    assert run("db", "upgrade", "--database-url", database_url).returncode == 1


@pytest.mark.parametrize("option", ["--port", "--http-port", "--relay-port"])
def test_a_port_that_is_taken_is_named_in_one_sentence(database_url, option):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refuse("--database-url", database_url, option, port)
    assert f"{option}: can't listen on 127.0.0.1:{port}" in said
    assert "choose another port" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "70000"], "--port"),
        (["--port", "many"], "--port"),
        (["--insecure", "--database-url", "mysql://somewhere/else"], "postgresql://"),
        (["--insecure", "--host", "10.0.0.1"], "--insecure: it serves this machine alone"),
        (["--tls-cert", "server.pem"], "--tls-key"),
        (["--agents-address", "somewhere"], "--agents-address: must be host:port"),
        (["--relay-address", "somewhere"], "--relay-address: must be host:port"),
        (["--insecure", "--relay-host", "10.0.0.1"], "--relay-host 10.0.0.1 is not its loopback"),
    ],
)
def test_a_server_option_that_can_not_be_is_named(arguments, words):
    ended = run("server", *arguments)
    assert ended.returncode in (1, 2)
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--party", "a"], ["--server"]),
        (["--server", "127.0.0.1:1"], ["--party"]),
        (["--server", "somewhere", "--party", "a"], ["--server: 'somewhere' is not HOST:PORT"]),
        (["--server", "127.0.0.1:1", "--party", "a b"], ["--party: 'a b' can't name a party"]),
        (
            ["--server", "x", "--party", "a", "--data", "scans", "--data", "b=/no/such/place"],
            ["--server:", "--data: 'scans' is not NAME=PATH", "no such path"],
        ),
    ],
)
def test_an_agent_option_that_can_not_be_is_named_and_all_at_once(arguments, words):
    ended = run("agent", "--insecure", *arguments)
    assert ended.returncode == 2
    for each in words:
        assert each in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_second_agent_of_the_same_party_is_refused_and_told_why(server, tmp_path):
    first = Site(tmp_path / "first", "hospital-a", server, "--runtime", "process")
    second = Site(tmp_path / "second", "hospital-a", server, "--runtime", "process")
    first.start()
    try:
        second.begin()
        second.logged("connection_refused")
        assert "another agent of this party is connected" in second.log
        # It takes over by itself once the first has left.
        assert first.terminate() == 0
        second.ready()
    finally:
        first.close()
        second.close()


def test_a_second_agent_in_the_same_directory_ends_at_once(server, tmp_path):
    first = Site(tmp_path, "hospital-a", server, "--runtime", "process")
    first.start()
    try:
        ended = run(
            "agent", "--insecure", "--server", server.address, "--party", "hospital-a",
            "--runtime", "process",
            "--state-dir", tmp_path / "state",
        )  # fmt: skip
        assert ended.returncode == 1
        assert str(tmp_path / "state") in ended.stderr
        assert "Traceback" not in ended.stderr
    finally:
        first.close()


def test_an_agent_that_finds_no_engine_says_so(tmp_path):
    ended = run(
        "agent", "--insecure", "--server", "127.0.0.1:1", "--party", "a", "--runtime", "docker",
        "--state-dir", tmp_path, DOCKER_HOST=f"unix://{tmp_path}/no.sock",
        # Patience enough for a second look.
        FEDFLOW_AGENT_RUNTIME_WAIT_S=1,
    )  # fmt: skip
    assert ended.returncode == 1
    assert "engine" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.fixture
def state_dir():
    # Not pytest's own directory: that is closed to the account that PostgreSQL runs as.
    with tempfile.TemporaryDirectory(prefix="fedflow-tests-") as path:
        Path(path).chmod(0o755)
        yield Path(path, "state")


def test_a_server_without_a_database_url_keeps_everything_over_a_kill(tmp_path, state_dir):
    server = Server(tmp_path / "server", "--state-dir", state_dir)
    site = Site(tmp_path / "site", "hospital-a", server, "--runtime", "process")
    server.start()
    try:
        site.start()
        server.kill()
        server.start()
        site.logged('"epoch": 2')
    finally:
        site.close()
        server.close()
