"""Agents and the server are killed while a run is under way; the run goes on."""

import asyncio
import threading

import asyncpg
import pytest

from tests.e2e.processes.children import until
from tests.e2e.processes.federation import PARTIES, SUCCESS, by_party, ends, only

A, B, C = PARTIES


@pytest.fixture(params=["docker", "process"])
def flow(request, found):
    return found("--runtime", request.param, "--gpus", "a", lost_after_s=5)


def workload(gate, exit_code=0):
    """Say which process it is, wait for the gate, end."""
    return (
        'env > "$FEDFLOW_OUTPUT_DIR/env"; echo started >> "$FEDFLOW_OUTPUT_DIR/starts"; '
        f"{gate.script}; exit {exit_code}"
    )


def starts(site, run_id):
    return (site.output(run_id) / "starts").read_text().split()


def running(flow, gate, *, exit_code=0, parties=PARTIES):
    """Return task and run as soon as it runs everywhere, and has said so itself."""
    task_id = flow.shell(workload(gate, exit_code), parties=parties)
    flow.start(task_id)
    run_id = flow.until_status(task_id, "Running")["run_id"]
    for party in parties:
        flow.site(party).wait_for_output(run_id, "starts")
    return task_id, run_id


def test_an_agent_killed_while_its_workload_runs_adopts_it(flow):
    gate = flow.gate()
    task_id, run_id = running(flow, gate)
    site = flow.site(B)
    site.kill()
    lost = flow.until_status(task_id, "Unknown")
    assert by_party(lost)[B]["state"] == "lost"
    assert by_party(lost)[B]["reason"] == "lease_expired"

    site.start()
    back = flow.until_status(task_id, "Running")
    assert by_party(back)[B]["state"] == "running"
    gate.open()

    assert flow.wait(task_id)["status"] == "Succeeded"
    assert starts(site, run_id) == ["started"]


def test_what_ended_while_its_agent_was_dead_is_reported_as_it_ended(flow):
    gate = flow.gate()
    task_id, run_id = running(flow, gate, exit_code=7)
    flow.site(B).kill()
    gate.open()
    flow.until(
        task_id,
        lambda data: {by_party(data)[party]["exit_code"] for party in (A, C)} == {7},
    )
    flow.site(B).start()

    final = flow.wait(task_id)
    assert final["status"] == "Failed"
    assert set(ends(final).values()) == {("failed", "exit_nonzero")}
    assert {item["exit_code"] for item in final["party_status"]} == {7}
    assert starts(flow.site(B), run_id) == ["started"]


def test_an_agent_that_is_asked_to_leave_keeps_its_workload_for_the_next(flow):
    gate = flow.gate()
    task_id, run_id = running(flow, gate, parties=(A,))
    assert flow.site(A).terminate() == 0
    gate.open()
    flow.site(A).start()
    assert only(flow.wait(task_id))["exit_code"] == 0
    assert starts(flow.site(A), run_id) == ["started"]


def test_a_stop_reaches_a_party_whose_agent_was_dead(flow):
    gate = flow.gate()
    task_id, _ = running(flow, gate)
    flow.site(B).kill()
    assert flow.sdk.task.stop(task_id) == SUCCESS
    pending = flow.until(
        task_id, lambda data: by_party(data)[A]["state"] == by_party(data)[C]["state"] == "stopped"
    )
    assert by_party(pending)[B]["desired"] == "stopped"
    assert by_party(pending)[B]["state"] in ("running", "lost")
    flow.site(B).start()
    assert flow.wait(task_id)["status"] == "Cancelled"


def test_a_server_killed_under_a_run_and_a_wait_goes_on_with_both(flow):
    gate = flow.gate()
    task_id, run_id = running(flow, gate)
    finals, seen = [], threading.Event()

    def wait():
        finals.append(flow.sdk.task.wait(task_id, timeout_s=90, on_change=lambda _: seen.set()))

    waiting = threading.Thread(target=wait)
    waiting.start()
    try:
        assert seen.wait(60)
        flow.server.kill()
        # It ends while there is no server.
        gate.open()
        flow.server.start()
    finally:
        waiting.join()
    assert finals[0]["data"]["status"] == "Succeeded"
    assert {item["exit_code"] for item in finals[0]["data"]["party_status"]} == {0}
    assert [starts(site, run_id) for site in flow.sites] == [["started"]] * 3


def test_a_run_that_waits_for_gpus_outlasts_a_server_that_was_long_away(found):
    flow = found("--runtime", "process", "--gpus", "a", lost_after_s=5)
    gate = flow.gate()
    wanted = {"resources": {"gpus": {"count": 1}}, "parties": (A,), "start_deadline_s": 1}
    first, second = flow.shell(gate.script, **wanted), flow.shell("true", **wanted)
    flow.start(first)
    flow.until_status(first, "Running")
    flow.start(second)
    flow.until(second, lambda data: only(data)["reason"] == "waiting_for_gpu")

    flow.server.kill()
    until(lambda: asyncio.run(all_leases_are_over(flow.database_url)))
    flow.server.start()
    gate.open()

    assert flow.wait(first)["status"] == "Succeeded"
    assert flow.wait(second)["status"] == "Succeeded"


async def all_leases_are_over(url):
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(
            "SELECT (SELECT bool_and(lease_expires_at < now()) FROM parties)"
            " AND (SELECT bool_and(connect_deadline_at < now()) FROM runs)"
        )
    finally:
        await connection.close()
