"""`fedflow` on a run whose coordinator is at a site that also takes part: real processes."""

import json
import sys

import pytest

from tests.e2e.processes.federation import PARTIES

pytestmark = pytest.mark.postgres

ONE, TWO = PARTIES[:2]
PORT = 7100
# Answers each party once with its own words in capitals, and ends after the last.
SERVER = f"""
import os, socket, sys
with socket.create_server((sys.argv[1], {PORT})) as listening:
    print("listens", flush=True)
    left = {{"0", "1"}}
    while left:
        connection, _ = listening.accept()
        with connection, connection.makefile("rwb") as words:
            # Whoever only looks whether somebody listens says nothing.
            if said := words.readline().decode():
                words.write(said.upper().encode())
                left.discard(said.split()[-1])
open(os.environ["FEDFLOW_OUTPUT_DIR"] + "/model", "w").write("of all")
"""
PARTY = f"""
import os, socket, sys
with socket.create_connection((sys.argv[1], {PORT})) as connection:
    with connection.makefile("rwb") as words:
        words.write(b"hello from " + sys.argv[2].encode() + b"\\n")
        words.flush()
        print(words.readline().decode().strip(), flush=True)
open(os.environ["FEDFLOW_OUTPUT_DIR"] + "/model", "w").write("of one")
"""


@pytest.fixture
def flow(write):
    """The file of a run of two parties with its coordinator at the first of them."""

    def flow(coordinator=SERVER, **more):
        declared = {
            "command": [sys.executable, "-c", coordinator, "{address}"],
            "ports": [PORT],
            "party": ONE,
            "ends": "by_itself",
            **more,
        }
        file = write("true", parties=PARTIES[:2])
        text = file.read_text()
        command = json.dumps([sys.executable, "-c", PARTY, "{coordinator}", "{rank}"])
        before, _, after = text.partition("  command: ")
        path = file.with_name(f"{file.stem}.yaml")
        path.write_text(
            f"{before}  command: {command}\n  coordinator: {json.dumps(declared)}\n"
            f"{after.partition(chr(10))[2]}"
        )
        return path

    return flow


def test_each_member_is_followed_listed_and_read_under_its_own_name(fedflow, flow, tmp_path):
    file = flow()
    task = f"{file.stem}-task"
    followed = fedflow("task", "start", file, "--watch", "--wait-outputs")
    assert followed.returncode == 0, followed.stdout + followed.stderr
    told = followed.stdout.splitlines()
    assert {f"{ONE} succeeded", f"{TWO} succeeded", f"coordinator ({ONE}) succeeded"} <= set(told)

    shown = fedflow("task", "get", task).stdout
    assert f"coordinator ({ONE})" in shown
    known = json.loads(fedflow("task", "get", task, "--json").stdout)
    assert [each["name"] for each in known["party_status"]] == [ONE, TWO]
    said = len("hello from 0\n")
    assert [each["traffic"] for each in known["party_status"]] == [
        [{"peer": "coordinator", "sent_bytes": said, "received_bytes": said, "connections": 1}]
    ] * 2
    traffic = {each["peer"]: each for each in known["coordinator"]["traffic"]}
    assert set(traffic) == {f"party-{ONE}", f"party-{TWO}"}
    assert {each["received_bytes"] for each in traffic.values()} == {said}

    assert fedflow("task", "logs", task, "--party", "coordinator").stdout.split() == [
        "coordinator",
        "listens",
    ]
    own = fedflow("task", "logs", task, "--party", ONE).stdout
    assert own.split() == [ONE, "HELLO", "FROM", "0"]
    assert len(fedflow("task", "logs", task).stdout.splitlines()) == 3

    assert fedflow("task", "outputs", task, "-o", "id").stdout.splitlines() == [
        f"{ONE}/model",
        f"{TWO}/model",
        "coordinator/model",
    ]
    done = fedflow("task", "download", task, "--to", tmp_path / "to", "--party", "coordinator")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "to" / "coordinator" / "model").read_text() == "of all"
    assert not (tmp_path / "to" / ONE).exists()


def test_a_coordinator_that_never_listens_is_waited_for_visibly_and_not_for_ever(fedflow, flow):
    file = flow("import time; time.sleep(600)", ends="after_parties")
    file.write_text(
        file.read_text().replace("  coordinator: ", "  connect_timeout_s: 2\n  coordinator: ")
    )
    followed = fedflow("task", "start", file, "--watch")
    assert followed.returncode == 13, followed.stdout + followed.stderr
    waits = [line for line in followed.stdout.splitlines() if "(waiting_for_coordinator)" in line]
    assert {line.split()[0] for line in waits} == {ONE, TWO}
    assert f"{ONE} failed (coordinator_unreachable): " in followed.stdout


def test_a_coordinator_without_a_place_runs_at_the_agent_that_was_started_for_it(
    fedflow, flow, process_flow, add_site
):
    add_site(process_flow, "hub", "--runtime", "process", "--coordinator")
    file = flow(party="")
    started = fedflow("task", "start", file, "--watch")
    assert started.returncode == 0, started.stdout + started.stderr
    known = json.loads(fedflow("task", "get", f"{file.stem}-task", "--json").stdout)
    assert (known["coordinator"]["federated_id"], known["coordinator"]["state"]) == (
        "hub",
        "succeeded",
    )
    assert [each["name"] for each in known["party_status"]] == [ONE, TWO]
