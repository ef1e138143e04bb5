"""`fedflow task metrics` and `logs`: what workloads measured and wrote, through real processes."""

import csv
import io
import json
import shlex
import subprocess
import sys

import pytest

from tests.e2e.processes.children import command, environment
from tests.e2e.processes.federation import PARTIES

pytestmark = pytest.mark.postgres

METRICS = """
cd "$(dirname "$FEDFLOW_API")"
python3 - <<'END'
import flow_worker
for step in range(1, 21):
    flow_worker.metric("loss", 1.0 / step, step=step)
    flow_worker.metric("accuracy", step / 20, step=step)
END
"""


def test_metrics_are_drawn_and_written_as_json_csv_and_a_picture(fedflow, write, tmp_path):
    file = write(METRICS, parties=PARTIES[:2])
    task = f"{file.stem}-task"
    assert fedflow("task", "start", file, "--wait").returncode == 0

    drawn = fedflow("task", "metrics", task, "--name", "loss").stdout
    assert "accuracy" not in drawn
    assert any("\u2800" < letter <= "\u28ff" for letter in drawn)
    assert f"{PARTIES[0]} 0.05" in drawn

    document = json.loads(fedflow("task", "metrics", task, "--json").stdout)
    assert len(document["points"]) == 80
    rows = list(csv.DictReader(io.StringIO(fedflow("task", "metrics", task, "--csv").stdout)))
    assert [row["step"] for row in rows if row["party"] == PARTIES[1]][:3] == ["1", "1", "2"]
    one = fedflow("task", "metrics", task, "--party", PARTIES[1], "--name", "loss", "--csv").stdout
    assert len(one.splitlines()) == 21

    picture = tmp_path / "loss.png"
    done = fedflow("task", "metrics", task, "--png", picture)
    assert done.returncode == 0, done.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_logs_are_merged_chosen_and_never_steer_the_terminal(fedflow, write):
    script = r"""printf 'one\n\033[2J\033]0;title\007two\r\n\302\233three\ttab\n\377\n'"""
    file = write(script, parties=PARTIES[:2])
    task = f"{file.stem}-task"
    assert fedflow("task", "start", file, "--wait").returncode == 0
    shown = fedflow("task", "logs", task)
    assert shown.returncode == 0
    assert all(letter.isprintable() or letter in "\n\t" for letter in shown.stdout)
    assert "␛[2J␛]0;title␇two␍" in shown.stdout
    assert "?three\ttab" in shown.stdout
    assert len(shown.stdout.splitlines()) == 8

    alone = fedflow("task", "logs", task, "--party", PARTIES[1], "--tail", "2").stdout.splitlines()
    assert [line.split()[0] for line in alone] == [PARTIES[1]] * 2
    stamped = fedflow("task", "logs", task, "--timestamps", "--since", "1h").stdout.splitlines()
    assert stamped == sorted(stamped, key=lambda line: line[:24])
    documents = [
        json.loads(line) for line in fedflow("task", "logs", task, "--json").stdout.splitlines()
    ]
    assert {tuple(each) for each in documents} == {("party", "stream", "at", "text", "is_cut")}
    assert documents[1]["text"].startswith("\x1b[2J") or documents[2]["text"].startswith("\x1b[2J")
    assert fedflow("task", "logs", task, "--since", "tomorrow").returncode == 2
    assert fedflow("task", "logs", task, "--party", "nobody").returncode == 3


def test_followed_logs_end_with_the_run(process_flow, fedflow, write):
    gate = process_flow.gate()
    file = write(f"echo begun; {gate.script}; echo over")
    task = f"{file.stem}-task"
    assert fedflow("task", "start", file).returncode == 0
    process_flow.until_status(fedflow("task", "get", task, "-o", "id").stdout.strip(), "Running")
    following = subprocess.Popen(
        command("task", "logs", task, "--follow"),
        env=environment(FEDFLOW_SERVER=process_flow.server.address),
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert following.stdout.readline().split()[1:] == ["begun"]
    gate.open()
    rest, _ = following.communicate(timeout=90)
    assert rest.split()[1:] == ["over"]
    assert following.returncode == 0


def test_a_pipe_that_nobody_reads_any_more_ends_it_quietly(process_flow, fedflow, write):
    file = write("seq 200000")
    task = f"{file.stem}-task"
    assert fedflow("task", "start", file, "--wait").returncode == 0
    # Without the tie to its parent, which forgives a pipe that nobody reads.
    line = shlex.join([sys.executable, "-m", "flow_server_sdk.cli", "task", "logs", task])
    done = subprocess.run(
        ["bash", "-c", f"{line} | head -1"],
        env=environment(FEDFLOW_SERVER=process_flow.server.address),
        capture_output=True, text=True, check=False, timeout=90,
    )  # fmt: skip
    assert done.stdout.split() == [PARTIES[0], "1"]
    assert done.stderr == ""
