"""The pure parts of `fedflow dev`: command lines, log lines, ready files, the tie to a parent."""

import io
import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from flow_server_sdk import known_servers
from flow_server_sdk.cli.federation import profile, ready
from flow_server_sdk.cli.federation.lines import MAX_LINE_BYTES, Console, LineSplitter, readable
from flow_server_sdk.cli.federation.plan import Plan
from flow_server_sdk.cli.lifeline import UnbreakableStream
from flow_server_sdk.known_servers import Profile

STATE = Path("/state")


def test_the_server_gets_its_ports_and_its_folder():
    command = Plan(parties=3, port=0, state_dir=STATE, parent_pid=7, insecure=True).server_command()
    assert command == [
        *(sys.executable, "-P", "-m", "flow_server_sdk.cli", "--die-with-parent", "7", "server"),
        *("--state-dir", "/state/server"),
        *("--ready-file", "/state/server.ready.json"),
        *("--log-level", "info"),
        "--insecure",
        *("--host", "127.0.0.1"),
        *("--port", "0"),
        *("--http-port", "0"),
        *("--relay-port", "0"),
    ]


@pytest.mark.parametrize(
    ("port", "http_port", "passed"),
    [(0, None, ["0"]), (5000, None, []), (5000, 5001, ["5001"]), (0, 80, ["80"])],
)
def test_a_free_port_asks_for_a_free_http_port_too(port, http_port, passed):
    command = Plan(parties=1, port=port, http_port=http_port, state_dir=STATE).server_command()
    assert [b for a, b in pairwise(command) if a == "--http-port"] == passed


def test_an_agent_offers_the_common_data_and_its_own_and_stops_all_at_its_end():
    plan = Plan(
        parties=2,
        runtime="process",
        data={"common": Path("/c")},
        party_data={"party-2": {"scans": Path("/s")}},
        state_dir=STATE,
        log_level="debug",
        insecure=True,
    )
    assert plan.party_ids == ["party-1", "party-2"]
    assert plan.agent_command("party-2", "127.0.0.1:5") == [
        *(sys.executable, "-P", "-m", "flow_server_sdk.cli", "agent"),
        *("--state-dir", "/state/party-2"),
        *("--ready-file", "/state/party-2.ready.json"),
        *("--log-level", "debug"),
        *("--insecure", "--server", "127.0.0.1:5", "--party", "party-2"),
        *("--runtime", "process"),
        *("--on-exit", "stop"),
        *("--data", "common=/c"),
        *("--data", "scans=/s"),
    ]
    assert "scans=/s" not in plan.agent_command("party-1", "127.0.0.1:5")


def test_who_proves_itself_needs_no_address_and_no_name():
    plan = Plan(parties=1, port=0, state_dir=STATE)
    server, agent = plan.server_command(), plan.agent_command("party-1", "127.0.0.1:5")
    assert server[(at := server.index("--agents-port")) : at + 2] == ["--agents-port", "0"]
    assert {"--insecure"}.isdisjoint(server)
    assert {"--insecure", "--server", "--party"}.isdisjoint(agent)
    assert "--agents-port" not in Plan(parties=1, port=5000, state_dir=STATE).server_command()


def test_a_party_reads_its_token_from_its_standard_input():
    plan = Plan(parties=1, state_dir=STATE)
    assert plan.enrol_command("party-1", "127.0.0.1:5")[4:] == [
        *("agent", "enrol", "--again", "--server", "127.0.0.1:5", "--token", "-"),
        *("--state-dir", "/state/party-1"),
    ]


def test_clients_know_a_federation_while_it_runs_and_what_they_knew_before_afterwards(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = known_servers.profiles_path()
    ca = tmp_path / "ca.pem"
    ca.touch()
    ours = Profile(token_file=str(tmp_path / "token"), ca=str(ca))
    with profile.published("127.0.0.1:5", ours):
        assert known_servers.read_profiles(path) == {"127.0.0.1:5": ours, "localhost:5": ours}
        assert path.stat().st_mode & 0o777 == 0o600
    assert not path.exists()

    others = {"flow.example.org:1235": Profile(ca="/ca.pem"), "127.0.0.1:5": Profile(ca=str(ca))}
    known_servers.write_profiles(path, others)
    with profile.published("127.0.0.1:5", ours):
        assert known_servers.read_profiles(path)["127.0.0.1:5"] == ours
    assert known_servers.read_profiles(path) == others


def test_what_somebody_logged_in_to_meanwhile_stays_and_what_a_killed_one_left_goes(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = known_servers.profiles_path()
    left = Profile(token_file=str(tmp_path / "gone"))
    known_servers.write_profiles(path, {"127.0.0.1:5": left})
    theirs = Profile(ca="/theirs")
    with profile.published("127.0.0.1:5", Profile(token_file=str(tmp_path / "ours"))):
        known_servers.write_profiles(
            path, known_servers.read_profiles(path) | {"localhost:5": theirs}
        )
    assert known_servers.read_profiles(path) == {"localhost:5": theirs}


def test_gpus_are_dealt_out_and_none_twice():
    plan = Plan(parties=2, gpu_ids=("a", "b", "c"), state_dir=STATE)
    dealt = [plan.agent_command(party, "s:1")[-1] for party in plan.party_ids]
    assert dealt == ["a,c", "b"]


def test_bytes_become_whole_lines_however_they_arrive():
    splitter = LineSplitter()
    assert splitter.feed(b"one\ntw") == ["one"]
    assert splitter.feed(b"") == []
    assert splitter.feed(b"o\r\n\xff\n\nrest") == ["two", "\ufffd", ""]
    assert splitter.end() == ["rest"]
    assert splitter.end() == []


def test_a_line_that_never_ends_is_cut():
    splitter = LineSplitter()
    assert splitter.feed(b"x" * (2 * MAX_LINE_BYTES + 1)) == ["x" * MAX_LINE_BYTES] * 2
    assert splitter.end() == ["x"]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("plain text", "plain text"),
        ("17", "17"),
        ('{"a": 1}', '{"a": 1}'),
        ('{"event": 5}', '{"event": 5}'),
        ('{"event": "up"}', "info    up"),
        (
            '{"port": 5, "event": "up", "level": "error", "timestamp": "2026-11-21T06:47:51Z"}',
            "06:47:51 error   up port=5",
        ),
        ('{"event": "bad", "level": "error", "exception": "a\\nb"}', "error   bad\na\nb"),
    ],
)
def test_json_log_lines_are_made_readable_and_others_left_alone(line, shown):
    assert readable(line) == shown


def test_every_line_stands_under_its_process(capsys):
    console = Console(["server", "party-1"])
    console.line("server", '{"event": "bad", "exception": "trace"}')
    console.line("party-1", "hello")
    console.note("a sentence")
    assert capsys.readouterr().out.splitlines() == [
        "server  | info    bad",
        "server  | trace",
        "party-1 | hello",
        "a sentence",
    ]


def test_json_stays_json_when_asked_for(capsys):
    Console(["server"], as_json=True).line("server", '{"event": "up"}')
    assert capsys.readouterr().out == 'server | {"event": "up"}\n'


def test_a_terminal_that_is_gone_is_told_once_and_written_to_no_more():
    written = []

    def write(text):
        written.append(text)
        raise BrokenPipeError

    console = Console(["server"], write=write)
    told = []
    console.on_broken = lambda: told.append("gone")
    console.note("one")
    console.note("two")
    assert (written, told) == ([written[0]], ["gone"])


def test_a_ready_file_is_there_for_the_length_of_its_block_only(tmp_path):
    path = tmp_path / "ready.json"
    with ready.published(path, {"grpc": "127.0.0.1:5"}):
        assert ready.read(path) == {"grpc": "127.0.0.1:5"}
        assert list(tmp_path.iterdir()) == [path]
    assert list(tmp_path.iterdir()) == []
    with ready.published(None, {}):
        assert list(tmp_path.iterdir()) == []


TIED_PARENT = """
import os, signal, subprocess, sys
child = [sys.executable, "-c", sys.argv[1], str(os.getpid())]
subprocess.Popen(child)
signal.pause()
"""
TIED_CHILD = """
import signal, sys
from flow_server_sdk.cli.lifeline import end_with_parent
end_with_parent(int(sys.argv[1]))
print("tied", flush=True)
signal.pause()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the tie is the Linux kernel's")
def test_a_child_ends_when_its_parent_is_killed():
    parent = subprocess.Popen(
        [sys.executable, "-c", TIED_PARENT, TIED_CHILD],
        env={"PYTHONPATH": ":".join(path for path in sys.path if path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        assert parent.stdout.readline() == "tied\n"
        parent.kill()
        # The child holds the same pipe: its end comes when the last of the two is gone.
        assert parent.stdout.read() == ""
        assert parent.wait() == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="the tie is the Linux kernel's")
def test_a_child_whose_parent_is_gone_already_ends_at_once():
    child = subprocess.run(
        [sys.executable, "-c", TIED_CHILD, "1"],
        env={"PYTHONPATH": ":".join(path for path in sys.path if path)},
        stdout=subprocess.PIPE,
        check=False,
    )
    assert (child.returncode, child.stdout) == (-signal.SIGTERM, b"")


def test_writing_to_a_reader_that_is_gone_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    with io.TextIOWrapper(os.fdopen(writer, "wb"), write_through=False) as stream:
        unbreakable = UnbreakableStream(stream)
        print("one", file=unbreakable, flush=True)
        print("two", file=unbreakable, flush=True)
        assert unbreakable.fileno() == stream.fileno()
