"""What workloads report reaches users, whatever is killed meanwhile."""

import sys

import pytest

from tests.e2e.processes.children import until
from tests.e2e.processes.federation import PARTIES

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="plain processes need Linux")

_MEASURE = """
import os, time, flow_worker
gate = os.path.join(os.environ["FEDFLOW_DATA_DIR"], os.environ["GATE"])
number = 0
while not os.path.exists(gate):
    number += 1
    flow_worker.metric("loss", number, step=number)
    flow_worker.progress(number, 1_000_000)
    time.sleep(0.01)
flow_worker.message("measured %d" % number)
assert flow_worker.flush(60)
"""


def points_of(flow, task_id):
    """Return the steps and values of each party, in the order in which they are shown."""
    found = {party: [] for party in PARTIES}
    for point in flow.sdk.task.metrics(task_id)["data"]["points"]:
        found[point["party"]].append((point["step"], point["value"]))
    return found


def test_no_metric_is_lost_or_told_twice_when_agent_and_server_are_killed(found):
    flow = found("--runtime", "process", "--on-exit", "keep", lost_after_s=10)
    gate = flow.gate()
    task_id = flow.task(sys.executable, "-c", _MEASURE, env={"GATE": gate._name})
    flow.start(task_id)

    def is_under_way(least):
        def says(data):
            return all((party["current_epoch"] or 0) >= least for party in data["party_status"])

        return says

    seen = flow.until(task_id, is_under_way(5))
    assert {party["total_epoch"] for party in seen["party_status"]} == {1_000_000}
    flow.sites[0].kill()
    flow.sites[0].start()
    flow.server.kill()
    flow.server.start()
    most = max(party["current_epoch"] for party in seen["party_status"])
    flow.until(task_id, is_under_way(most + 20))
    gate.open()
    final = flow.wait(task_id)
    assert final["status"] == "Succeeded"
    counts = {party["federated_id"]: party["current_epoch"] for party in final["party_status"]}
    notes = {party["federated_id"]: party["note"] for party in final["party_status"]}
    assert notes == {party: f"measured {count}" for party, count in counts.items()}

    def all_are_there():
        shown = points_of(flow, task_id)
        return all(len(shown[party]) >= count for party, count in counts.items())

    until(all_are_there, lambda: points_of(flow, task_id))
    expected = {party: [(n, n) for n in range(1, count + 1)] for party, count in counts.items()}
    assert points_of(flow, task_id) == expected
