"""Bad input that only a site can find out, with real containers: said, and nothing left."""

import os

import pytest

from tests.e2e.processes.events import RUN, EngineEvents
from tests.e2e.processes.federation import PARTIES, by_party, ends, only
from tests.gpu.second_engine import SecondEngine, missing_here
from tests.runtime.registry import Registry, serving

pytestmark = pytest.mark.docker

A, B, C = PARTIES
ROLLED_BACK = ("stopped", "start_rolled_back")


def test_an_image_that_does_not_exist_is_refused_everywhere_with_its_name(
    docker_flow, engine_client, image
):
    flow = docker_flow
    with serving(Registry(b"", architecture="any")) as address:
        name = f"{address}/no/such-image:1"
        task_id = flow.shell("true", image=name)
        with EngineEvents(engine_client, image) as events:
            final = flow.ran(task_id)

    assert final["status"] == "Failed"
    assert ("refused", "image_not_found") in ends(final).values()
    assert set(ends(final).values()) <= {("refused", "image_not_found"), ROLLED_BACK}
    for item in final["party_status"]:
        assert item["exit_code"] is None
        if item["reason"] == "image_not_found":
            assert name in item["message"]
    assert events.parties("create", final["run_id"]) == []


def test_one_party_without_the_image_starts_nothing_anywhere(
    docker_flow, add_site, engine_client, image
):
    missing = missing_here()
    if missing and os.environ.get("CI") == "true":
        pytest.fail(f"this test must run here, but {missing}")
    if missing:
        pytest.skip(missing)
    flow = docker_flow
    engine = SecondEngine(gpu_count=1)
    try:
        site = add_site(
            flow, "hospital-without", "--runtime", "docker", "--on-exit", "stop",
            DOCKER_HOST=engine.url,
        )  # fmt: skip
        task_id = flow.shell("true", parties=(A, B, site.party))
        with EngineEvents(engine_client, image) as events:
            final = flow.ran(task_id)
        assert engine.client.api.containers(all=True, filters={"label": RUN}) == []
    finally:
        engine.close()

    assert final["status"] == "Failed"
    assert ends(final) == {
        A: ROLLED_BACK,
        B: ROLLED_BACK,
        # It has no way to any registry, so it can't know whether there is such an image.
        site.party: ("refused", "image_pull_failed"),
    }
    assert all(item["started_at"] is None for item in final["party_status"])
    assert events.parties("start", final["run_id"]) == []


@pytest.mark.parametrize(
    ("command", "exit_code"), [("no-such-program", 127), ("/etc", 126), ("broken-script", 127)]
)
def test_a_command_that_the_image_lacks_fails_and_is_named(docker_flow, command, exit_code):
    flow = docker_flow
    final = flow.ran(flow.task(command))
    assert final["status"] == "Failed"
    for item in final["party_status"]:
        assert (item["state"], item["reason"]) == ("failed", "command_not_found")
        assert item["exit_code"] == exit_code
        assert command in item["message"]


def test_an_exit_code_is_reported_as_it_was(docker_flow):
    flow = docker_flow
    final = flow.ran(flow.shell("[ $FEDFLOW_RANK = 1 ] && exit 7; exit 0"))
    assert final["status"] == "Failed"
    assert ends(final) == {
        A: ("succeeded", "completed"),
        B: ("failed", "exit_nonzero"),
        C: ("succeeded", "completed"),
    }
    assert by_party(final)[B]["exit_code"] == 7
    assert "7" in by_party(final)[B]["message"]


def test_a_workload_that_uses_too_much_memory_is_said_to_have(docker_flow):
    flow = docker_flow
    limits = {"memory_bytes": 32 * 1024**2}
    final = flow.ran(flow.task("tail", "/dev/zero", parties=(A,), resources=limits))
    item = only(final)
    assert (item["state"], item["reason"], item["exit_code"]) == ("failed", "oom_killed", 137)
    assert "memory" in item["message"]


def test_a_gpu_on_an_engine_without_one_fails_and_leaves_no_container(
    docker_flow, engine_client, image
):
    flow = docker_flow
    task_id = flow.shell("true", resources={"gpus": {"count": 1}})
    with EngineEvents(engine_client, image) as events:
        final = flow.ran(task_id)
        # Not in state Created either, which is where the engine leaves it.
        flow.until_cleared()
    assert final["status"] == "Failed"
    assert set(ends(final).values()) == {("failed", "gpu_unavailable")}
    assert all("GPU 0" in item["message"] for item in final["party_status"])
    assert events.parties("create", final["run_id"]) == list(PARTIES)
    assert events.parties("start", final["run_id"]) == []


def test_more_gpus_than_the_site_has_are_refused_at_once(docker_flow, engine_client, image):
    flow = docker_flow
    for request in ({"count": 3}, {"device_ids": ["7"]}):
        task_id = flow.shell("true", resources={"gpus": request})
        with EngineEvents(engine_client, image) as events:
            final = flow.ran(task_id)
        assert final["status"] == "Failed"
        assert ("refused", "gpu_unavailable") in ends(final).values()
        assert set(ends(final).values()) <= {("refused", "gpu_unavailable"), ROLLED_BACK}
        assert events.parties("create", final["run_id"]) == []


@pytest.mark.parametrize(
    ("asked", "refusal"),
    [
        ("no-such-data", ("data_unknown", "data.names")),
        ("scans/no-such-file", ("data_unknown", "data.names")),
        ("/etc", ("data_outside_roots", "data.roots")),
        ("scans/../../etc", ("data_outside_roots", "data.roots")),
        ("scans/way-out", ("data_outside_roots", "data.roots")),
    ],
)
def test_data_that_the_site_does_not_offer_is_refused_by_its_rule(
    docker_flow, engine_client, image, asked, refusal
):
    flow, (reason, rule) = docker_flow, refusal
    link = flow.site(B).data / "way-out"
    if not link.is_symlink():
        link.symlink_to("/etc")
    task_id = flow.shell("true", data={B: asked})
    with EngineEvents(engine_client, image) as events:
        final = flow.ran(task_id)

    assert final["status"] == "Failed"
    assert ends(final) == {A: ROLLED_BACK, B: ("refused", reason), C: ROLLED_BACK}
    message = by_party(final)[B]["message"]
    assert rule in message
    assert str(flow.site(B).data) not in message
    assert events.parties("start", final["run_id"]) == []


def test_a_network_that_the_site_does_not_allow_is_refused_by_its_rule(
    docker_flow, engine_client, image
):
    flow = docker_flow
    task_id = flow.shell("true", network="bridge", parties=(A,))
    with EngineEvents(engine_client, image) as events:
        final = flow.ran(task_id)
    item = only(final)
    assert (item["state"], item["reason"]) == ("refused", "policy_denied")
    assert "network" in item["message"]
    assert events.parties("create", final["run_id"]) == []


def test_a_template_changed_or_deleted_after_a_start_changes_nothing(docker_flow):
    flow = docker_flow
    gate = flow.gate()
    task_id = flow.shell(f"{gate.script}; exit 3", parties=(A,))
    flow.start(task_id)
    template_id = flow.until_status(task_id, "Running")["template_id"]
    flow.sdk.template.update(
        template_id, name="other", image_url="other:1", workdir="", command=["false"]
    )
    flow.sdk.template.delete(template_id)
    gate.open()
    assert only(flow.wait(task_id))["exit_code"] == 3
    [run] = flow.sdk.task.runs(task_id)["data"]["runs"]
    assert run["template"]["image_url"] == flow.image


def test_an_unknown_party_refuses_the_start_at_once(docker_flow, engine_client, image):
    flow = docker_flow
    task_id = flow.shell("true", parties=(A, "nobody"))
    with EngineEvents(engine_client, image) as events:
        assert flow.sdk.task.start(task_id)["ret_code"] == 10304
        final = flow.sdk.task.get(task_id)["data"]
    assert ends(final) == {A: ROLLED_BACK, "nobody": ("refused", "party_unknown")}
    [run] = flow.sdk.task.runs(task_id)["data"]["runs"]
    assert events.parties("create", run["run_id"]) == []
