"""A stop reaches every party, whatever its workload is doing."""

import socket

import pytest

from tests.e2e.processes.federation import PARTIES, SUCCESS, ends, only

A, B, C = PARTIES
CANCELLED = ("stopped", "stopped_by_user")
_RUN = "while :; do sleep 0.05; done"


@pytest.fixture(params=["docker", "process"])
def flow(request):
    return request.getfixturevalue(f"{request.param}_flow")


def test_a_workload_that_heeds_sigterm_ends_in_its_own_way(flow):
    script = (
        'env > "$FEDFLOW_OUTPUT_DIR/env"; '
        "trap 'echo bye > \"$FEDFLOW_OUTPUT_DIR/said\"; exit 5' TERM; "
        'touch "$FEDFLOW_OUTPUT_DIR/ready"; ' + _RUN
    )
    task_id = flow.shell(script)
    flow.start(task_id)
    run_id = flow.until_status(task_id, "Running")["run_id"]
    for site in flow.sites:
        site.wait_for_output(run_id, "ready")

    assert flow.sdk.task.stop(task_id) == SUCCESS
    final = flow.wait(task_id)

    assert final["status"] == "Cancelled"
    assert set(ends(final).values()) == {CANCELLED}
    assert {item["exit_code"] for item in final["party_status"]} == {5}
    for site in flow.sites:
        assert (site.output(run_id) / "said").read_text() == "bye\n"
    assert flow.sdk.task.stop(task_id)["ret_code"] == 10303


def test_a_workload_that_ignores_sigterm_is_killed_after_its_grace(flow):
    script = (
        'env > "$FEDFLOW_OUTPUT_DIR/env"; '
        "trap 'touch \"$FEDFLOW_OUTPUT_DIR/heard\"' TERM; "
        'touch "$FEDFLOW_OUTPUT_DIR/ready"; ' + _RUN
    )
    task_id = flow.shell(script, parties=(A,), stop_grace_s=1)
    flow.start(task_id)
    run_id = flow.until_status(task_id, "Running")["run_id"]
    flow.site(A).wait_for_output(run_id, "ready")

    flow.sdk.task.stop(task_id)
    final = flow.wait(task_id)

    assert final["status"] == "Cancelled"
    assert only(final)["exit_code"] == 137
    assert (flow.site(A).output(run_id) / "heard").exists()


@pytest.mark.docker
def test_a_stop_while_the_image_is_pulled_does_not_wait_for_it(docker_flow):
    flow = docker_flow
    # It accepts the engine's connection and never answers.
    with socket.create_server(("127.0.0.1", 0)) as silent_registry:
        port = silent_registry.getsockname()[1]
        task_id = flow.shell("true", image=f"127.0.0.1:{port}/fedflow/image:1")
        flow.start(task_id)
        data = flow.until(
            task_id,
            lambda data: {item["reason"] for item in data["party_status"]} == {"pulling_image"},
        )
        assert data["status"] == "Pending"
        assert all("image:1" in item["message"] for item in data["party_status"])

        flow.sdk.task.stop(task_id)
        final = flow.wait(task_id)

    assert final["status"] == "Cancelled"
    assert set(ends(final).values()) == {CANCELLED}
    assert all(item["exit_code"] is None for item in final["party_status"])
