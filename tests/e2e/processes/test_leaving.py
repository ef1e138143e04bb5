"""Parties that take nothing new, and sites that are left alone by a server that is killed."""

import json

import pytest

from tests.e2e.processes import children
from tests.e2e.processes.children import until
from tests.e2e.processes.federation import PARTIES, SUCCESS, ends

A, B, _ = PARTIES
UNAVAILABLE = 10304


@pytest.fixture
def flow(found):
    return found("--runtime", "process", "--drain", lost_after_s=5)


def running(flow, script, *, parties=PARTIES, **template):
    """Return task and run as soon as the script runs everywhere, and has said so itself."""
    begins = 'env > "$FEDFLOW_OUTPUT_DIR/env"; echo once >> "$FEDFLOW_OUTPUT_DIR/starts"; '
    task_id = flow.shell(begins + script, parties=parties, **template)
    flow.start(task_id)
    run_id = flow.until_status(task_id, "Running")["run_id"]
    for party in parties:
        flow.site(party).wait_for_output(run_id, "starts")
    return task_id, run_id


def party_command(flow, word, party):
    """Run `fedflow party WORD PARTY` and return what it says."""
    done = children.run("party", word, party, "--server", flow.server.address, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def refused(flow, party):
    """Say whether a start with this party is refused because it takes no new work."""
    task_id = flow.shell("true", parties=(A, party))
    answer = flow.sdk.task.start(task_id)
    if answer == SUCCESS:
        assert flow.wait(task_id)["status"] == "Succeeded"
        return False
    assert answer["ret_code"] == UNAVAILABLE
    assert f"takes no new work: {party}" in answer["ret_msg"]
    assert ends(flow.sdk.task.get(task_id)["data"])[party] == ("refused", "party_draining")
    return True


def test_a_party_that_its_operator_drains_finishes_what_it_has_and_takes_nothing_new(flow):
    gate = flow.gate()
    task_id, _ = running(flow, gate.script)

    assert party_command(flow, "drain", B)["draining"]
    assert refused(flow, B)
    assert flow.sdk.task.get(task_id)["data"]["status"] == "Running"
    gate.open()
    assert flow.wait(task_id)["status"] == "Succeeded"

    # An operator's word outlives the agent.
    site = flow.site(B)
    assert site.terminate() == 0
    site.start()
    assert refused(flow, B)
    assert not party_command(flow, "resume", B)["draining"]
    assert not refused(flow, B)


def test_an_agent_that_is_asked_to_leave_lets_its_run_end_and_its_successor_takes_new_ones(flow):
    gate = flow.gate()
    task_id, run_id = running(flow, gate.script)
    site = flow.site(B)

    site.ask()
    until(lambda: flow.sdk.party.get(B)["data"]["draining"], lambda: site.log)
    assert refused(flow, B)
    assert site.is_running
    gate.open()

    final = flow.wait(task_id)
    assert set(ends(final).values()) == {("succeeded", "completed")}
    assert site.ended() == 0
    until(lambda: not site.processes(), site.processes)
    assert (site.output(run_id) / "starts").read_text() == "once\n"
    site.start()
    assert not refused(flow, B)


def test_a_site_whose_server_is_killed_stops_its_workload_in_time_and_says_so_later(flow):
    gate = flow.gate()
    script = "trap 'touch \"$FEDFLOW_OUTPUT_DIR/heard\"; exit 7' TERM; " + gate.script
    task_id, run_id = running(flow, script, parties=(A, B), on_disconnect={"stop_after_s": 1})

    flow.server.kill()
    for party in (A, B):
        # Nobody tells it to: there is no server.
        flow.site(party).wait_for_output(run_id, "heard")
        assert flow.site(party).is_running
    flow.server.start()

    final = flow.wait(task_id)
    assert final["status"] == "Failed"
    assert set(ends(final).values()) == {("stopped", "site_disconnected")}
    assert {item["exit_code"] for item in final["party_status"]} == {7}


def test_a_site_that_keeps_its_workload_runs_on_without_a_server_and_is_found_running(flow):
    gate = flow.gate()
    ticks = gate.script.replace("do sleep", 'do echo tick >> "$FEDFLOW_OUTPUT_DIR/ticks"; sleep')
    task_id, run_id = running(flow, ticks, parties=(A, B))

    flow.server.kill()
    for party in (A, B):
        written = flow.site(party).output(run_id) / "ticks"
        before = len(written.read_text().split())
        until(lambda written=written, before=before: len(written.read_text().split()) > before + 20)
    flow.server.start()
    found = flow.until_status(task_id, "Running")
    assert set(ends(found).values()) == {("running", "none")}
    gate.open()

    assert flow.wait(task_id)["status"] == "Succeeded"
    for party in (A, B):
        assert (flow.site(party).output(run_id) / "starts").read_text() == "once\n"
