"""`fedflow task` and `fedflow template` as people and scripts call them: real processes."""

import csv
import io
import json
import shlex
import subprocess
import sys
import uuid

import pytest

from tests.cli.files import flow_file
from tests.e2e.processes.children import command, environment, run
from tests.e2e.processes.federation import PARTIES

pytestmark = pytest.mark.postgres


@pytest.fixture
def fedflow(process_flow):
    """Run `fedflow` against the shared federation."""

    def fedflow(*arguments, **settings):
        return run(*arguments, FEDFLOW_SERVER=process_flow.server.address, **settings)

    return fedflow


@pytest.fixture
def write(tmp_path):
    def write(script, *, parties=PARTIES[:1], **fields):
        name = fields.pop("name", None) or f"t{uuid.uuid4().hex[:12]}"
        return flow_file(tmp_path, script, name=name, parties=parties, **fields)

    return write


def started(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_file_is_created_then_unchanged_then_updated_and_each_call_is_a_run(fedflow, write):
    file = write("true", parties=PARTIES, name="in-turns")
    first = started(fedflow("task", "start", file, "--json"))
    assert (first["template"]["action"], first["task"]["action"]) == ("created", "created")
    assert fedflow("task", "watch", "in-turns-task").returncode == 0

    second = started(fedflow("task", "start", file, "--json"))
    assert (second["template"]["action"], second["task"]["action"]) == ("unchanged", "unchanged")
    assert second["run_id"] != first["run_id"]
    assert fedflow("task", "watch", "in-turns-task").returncode == 0

    changed = write("exit 0", parties=PARTIES[:2], name="in-turns")
    third = started(fedflow("task", "start", changed, "--json"))
    assert (third["template"]["action"], third["task"]["action"]) == ("updated", "updated")
    assert third["template"]["template_id"] == first["template"]["template_id"]
    assert third["task"]["task_id"] == first["task"]["task_id"]
    assert fedflow("task", "watch", "in-turns-task").returncode == 0
    listed = fedflow("task", "runs", "in-turns-task", "-o", "id").stdout.split()
    assert listed == [third["run_id"], second["run_id"], first["run_id"]]


def test_people_are_told_what_a_start_did(fedflow, write):
    file = write("true", name="told")
    said = fedflow("task", "start", file, "--wait").stdout.splitlines()
    assert said[0].startswith("template told (")
    assert said[0].endswith(") created")
    assert said[1].startswith("task told-task (")
    assert said[2].startswith("task told-task started: run ")
    assert len(said) == 3


def test_parameters_come_from_template_file_and_command_line_the_last_wins(fedflow, write):
    file = write(
        'echo "$FEDFLOW_HYPER_PARAMETERS $FEDFLOW_EPOCHS"',
        template="hyper_parameter: {lr: 0.1, batch: 8, flag: no}\n",
        start="epochs: 7\nhyper_parameter: {batch: 16, seed: 1}\n",
    )
    task = f"{file.stem}-task"
    assert fedflow("task", "start", file, "--wait").returncode == 0
    assert '["lr=0.1", "batch=16", "flag=no", "seed=1"] 7' in fedflow("task", "logs", task).stdout
    done = fedflow("task", "start", file, "--param", "lr=0.5", "--param", "epochs=3", "--wait")
    assert done.returncode == 0
    assert '["lr=0.5", "batch=16", "flag=no", "seed=1"] 3' in fedflow("task", "logs", task).stdout
    # By its name the file's start counts for nothing.
    assert fedflow("task", "start", task, "--param", "x=y", "--wait").returncode == 0
    assert '["lr=0.1", "batch=8", "flag=no", "x=y"] 10' in fedflow("task", "logs", task).stdout


@pytest.mark.parametrize(
    ("script", "template", "code", "words"),
    [
        ("true", "", 0, ""),
        ("exit 3", "", 10, "failed (exit_nonzero)"),
        ("true", "resources: {gpus: {count: 9}}\n", 11, "refused (gpu_unavailable)"),
        ("sleep 600", "run_timeout_s: 1\n", 13, "failed (timed_out)"),
    ],
)
@pytest.mark.parametrize("how", ["--wait", "--watch"])
def test_a_start_that_is_followed_ends_as_its_run_does(  # noqa: PLR0917 - a row of the table
    fedflow, write, script, template, code, words, how
):
    done = fedflow("task", "start", write(script, template=template), how)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def test_a_stop_is_told_to_the_one_who_watches(process_flow, fedflow, write):
    file = write("sleep 600", parties=PARTIES)
    task = f"{file.stem}-task"
    assert fedflow("task", "start", file).returncode == 0
    assert fedflow("task", "start", file).returncode == 6
    process_flow.until_status(fedflow("task", "get", task, "-o", "id").stdout.strip(), "Running")
    watching = subprocess.Popen(
        command("task", "watch", task),
        env=environment(FEDFLOW_SERVER=process_flow.server.address),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert fedflow("task", "watch", task, "--timeout", "0").returncode == 15
    assert f"task {task} (" in fedflow("task", "stop", task).stdout
    out, err = watching.communicate(timeout=90)
    assert watching.returncode == 14
    assert f"{task} Cancelled" in out
    assert err.count("stopped (stopped_by_user)") == 3
    assert fedflow("task", "stop", task).returncode == 6


def test_every_change_is_a_line_where_there_is_no_terminal(fedflow, write):
    file = write("true", parties=PARTIES)
    lines = fedflow("task", "start", file, "--watch").stdout.splitlines()
    for party in PARTIES:
        assert f"{party} running" in lines or f"{party} succeeded" in lines
        assert lines.count(f"{party} succeeded") == 1
    assert lines[-1] == f"{file.stem}-task Succeeded"


def test_what_is_watched_as_json_is_an_object_a_line(fedflow, write):
    file = write("true")
    done = fedflow("task", "start", file, "--watch", "--json")
    documents = [json.loads(line) for line in done.stdout.splitlines()]
    assert documents[0]["event"] == "started"
    assert documents[-1]["event"] == "end"
    assert documents[-1]["task"]["status"] == "Succeeded"
    assert {each["event"] for each in documents[1:-1]} == {"task"}
    short = fedflow("task", "start", file, "--wait", "--json").stdout.splitlines()
    assert [json.loads(line)["event"] for line in short] == ["started", "end"]
    assert len(fedflow("task", "start", file, "--watch", "-o", "id").stdout.split()) == 1


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


def test_names_ids_and_first_digits_all_do(fedflow, write):
    file = write("true", name="Named Äpfel")
    task_id = fedflow("task", "start", file, "--wait", "-o", "id").stdout.strip()
    for wanted in ("Named Äpfel-task", " named ÄPFEL-task", task_id, task_id[:8]):
        assert fedflow("task", "get", wanted, "-o", "id").stdout.strip() == task_id
    missing = fedflow("task", "get", "named")
    assert missing.returncode == 3
    assert "no task 'named'" in missing.stderr
    assert fedflow("task", "delete", task_id[:8]).returncode == 0
    assert fedflow("task", "get", task_id).returncode == 3


def test_templates_are_made_changed_and_deleted_with_options(fedflow):
    name = f"made-{uuid.uuid4().hex[:8]}"
    made = fedflow(
        "template", "create", "--name", name, "--image-url", "busybox:1.36", "--command",
        "sh -c 'echo hi'", "--param", "lr=0.1", "--env", "A=b=c", "-o", "id",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    changed = fedflow("template", "update", name, "--param", "lr=0.2", "--json")
    document = json.loads(changed.stdout)
    assert document["template_id"] == made.stdout.strip()
    assert document["command"] == ["sh", "-c", "echo hi"]
    assert (document["hyper_parameter"], document["env"]) == (["lr=0.2"], {"A": "b=c"})
    assert fedflow("template", "create", "--name", name, "--image-url", "x").returncode == 6
    assert name in fedflow("template", "list", "--keyword", name[:8]).stdout
    assert fedflow("template", "delete", name).returncode == 0
    assert fedflow("template", "get", name).returncode == 3


def test_tasks_are_made_and_changed_with_options(fedflow, write):
    file = write("true")
    assert fedflow("template", "create", file).returncode == 0
    name = f"made-{uuid.uuid4().hex[:8]}"
    made = fedflow(
        "task", "create", "--name", name, "--template", file.stem, "--party",
        f"{PARTIES[0]}=scans", "--party", PARTIES[1], "--json",
    )  # fmt: skip
    assert [each["federated_data"] for each in json.loads(made.stdout)["federate_data"]] == [
        "scans",
        "",
    ]
    changed = json.loads(
        fedflow("task", "update", name, "--remark", "new", "--party", PARTIES[2], "--json").stdout
    )
    assert (changed["name"], changed["remark"]) == (name, "new")
    assert [each["federated_id"] for each in changed["federate_data"]] == [PARTIES[2]]
    shown = fedflow("task", "list", "--party", PARTIES[2], "--status", "never started").stdout
    assert name in shown
    assert fedflow("task", "start", name, "--wait").returncode == 0
    assert name not in fedflow("task", "list", "--status", "never started").stdout
