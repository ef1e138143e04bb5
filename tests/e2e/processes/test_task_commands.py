"""`fedflow task` and `fedflow template` as people and scripts call them: real processes."""

import json
import signal
import subprocess
import uuid

import pytest

from tests.e2e.processes.children import command, environment
from tests.e2e.processes.federation import PARTIES

pytestmark = pytest.mark.postgres


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


def test_without_a_terminal_ctrl_c_only_stops_watching(process_flow, fedflow, write):
    gate = process_flow.gate()
    file = write(gate.script)
    task = f"{file.stem}-task"
    watching = subprocess.Popen(
        command("task", "start", file, "--watch"),
        env=environment(FEDFLOW_SERVER=process_flow.server.address, PYTHONUNBUFFERED=1),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for line in watching.stdout:
        if line == f"{task} Running\n":
            break
    watching.send_signal(signal.SIGINT)
    _, err = watching.communicate(timeout=90)
    assert watching.returncode == 130
    assert err.splitlines()[-1].startswith("not watching any more; the task goes on")
    gate.open()
    assert fedflow("task", "watch", task).returncode == 0


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
