"""GPUs are given to one run at a time, and who waits for them says so."""

import pytest

from tests.e2e.processes.federation import PARTIES, ends, only

A = PARTIES[0]
ONE, TWO = {"gpus": {"count": 1}}, {"gpus": {"count": 2}}


@pytest.fixture
def start(process_flow):
    """Start a run that holds its GPUs until its gate opens; all gates are open at the end."""
    gates = []

    def start(resources, parties=(A,)):
        gate = process_flow.gate()
        gates.append(gate)
        task_id = process_flow.shell(gate.script, parties=parties, resources=resources)
        process_flow.start(task_id)
        return task_id, gate

    yield start
    for gate in gates:
        gate.open()


def is_waiting(data):
    return {item["reason"] for item in data["party_status"]} == {"waiting_for_gpu"}


def test_a_run_that_does_not_fit_waits_visibly_and_then_runs(process_flow, start):
    flow = process_flow
    first, first_gate = start(ONE, PARTIES)
    running = flow.until_status(first, "Running")
    assert all(item["gpu_ids"] == ["a"] for item in running["party_status"])

    second, second_gate = start(TWO, PARTIES)
    waiting = flow.until(second, is_waiting)
    assert waiting["status"] == "Pending"
    for item in waiting["party_status"]:
        assert item["state"] == "pending"
        assert item["gpu_ids"] == []
        assert "2 GPUs" in item["message"]
        assert "1 of 2 free" in item["message"]

    first_gate.open()
    assert flow.wait(first)["status"] == "Succeeded"
    running = flow.until_status(second, "Running")
    assert all(item["gpu_ids"] == ["a", "b"] for item in running["party_status"])
    assert all(item["reason"] == "none" for item in running["party_status"])
    second_gate.open()
    assert flow.wait(second)["status"] == "Succeeded"


def test_two_runs_never_hold_one_gpu(process_flow, start):
    flow = process_flow
    tasks = [start(ONE) for _ in range(2)]
    held = [only(flow.until_status(task, "Running"))["gpu_ids"] for task, _ in tasks]
    assert sorted(held) == [["a"], ["b"]]
    third, _ = start({"gpus": {"device_ids": ["b"]}})
    assert "GPU b" in only(flow.until(third, is_waiting))["message"]
    for (task, gate), ids in zip(tasks, held, strict=True):
        if ids == ["a"]:
            gate.open()
            flow.wait(task)
    # The other one came free.
    assert is_waiting(flow.sdk.task.get(third)["data"])
    for _, gate in tasks:
        gate.open()
    assert only(flow.until_status(third, "Running"))["gpu_ids"] == ["b"]


def test_nobody_overtakes_and_a_stopped_run_leaves_the_queue(process_flow, start):
    flow = process_flow
    holder, holder_gate = start(ONE)
    flow.until_status(holder, "Running")
    large, _ = start(TWO)
    flow.until(large, is_waiting)
    small, small_gate = start(ONE)
    # One is free, and the large one is ahead.
    flow.until(small, lambda data: "1 run ahead" in only(data)["message"])

    flow.sdk.task.stop(large)
    final = flow.wait(large)
    assert final["status"] == "Cancelled"
    assert ends(final) == {A: ("stopped", "stopped_by_user")}
    assert only(flow.until_status(small, "Running"))["gpu_ids"] == ["b"]
    for gate in (holder_gate, small_gate):
        gate.open()
    assert flow.wait(small)["status"] == "Succeeded"


def test_a_workload_is_told_its_gpus(process_flow):
    flow = process_flow
    script = 'env > "$FEDFLOW_OUTPUT_DIR/env"'
    final = flow.ran(flow.shell(script, parties=(A,), resources=TWO))
    environment = (flow.site(A).output(final["run_id"]) / "env").read_text().splitlines()
    assert "CUDA_VISIBLE_DEVICES=a,b" in environment
    assert only(final)["gpu_ids"] == ["a", "b"]
