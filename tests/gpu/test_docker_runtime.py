"""The whole path of a GPU request: agent's allocator, Docker runtime, engine, hook, container."""

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from flow_contract.lifecycle import PartyRunState
from flow_contract.reasons import Reason
from flow_contract.templates import GpuRequest
from party_agent.runtime.docker_engine.translate import LABEL_AGENT, container_name
from tests.agent.fakes import until
from tests.gpu.conftest import GPU_COUNT
from tests.gpu.gpu_site import GpuSite
from tests.gpu.second_engine import SecondEngine

pytestmark = pytest.mark.docker

EVERY_ID = tuple(str(index) for index in range(GPU_COUNT))
RUN_ON = "trap 'exit 0' TERM; while :; do sleep 0.1; done"


@pytest.fixture
async def site(gpu_engine: SecondEngine) -> AsyncIterator[GpuSite]:
    async with GpuSite(gpu_engine, inventory=EVERY_ID).opened() as site:
        yield site
    assert site.containers() == []


def seen_inside(site: GpuSite, party_run_id: str) -> list[str]:
    container = site.engine.client.containers.get(container_name(party_run_id))
    listing = container.exec_run(["sh", "-c", "ls -d /dev/nvidia* 2>/dev/null"])
    return listing.output.decode().split()


async def test_a_container_gets_exactly_the_gpus_that_the_agent_assigned(site: GpuSite) -> None:
    first = site.start(RUN_ON, GpuRequest(count=1))
    second = site.start(RUN_ON, GpuRequest(device_ids=("3", "1")))

    assert (await site.until(first, PartyRunState.RUNNING)).gpu_ids == ("0",)
    assert (await site.until(second, PartyRunState.RUNNING)).gpu_ids == ("3", "1")

    container = site.engine.client.containers.get(container_name(second))
    [asked] = container.attrs["HostConfig"]["DeviceRequests"]
    assert (asked["Driver"], asked["Count"], asked["DeviceIDs"]) == ("nvidia", 0, ["3", "1"])
    assert site.engine.oci_environment(container.id)["NVIDIA_VISIBLE_DEVICES"] == "3,1"
    assert {"container": container.id, "visible": "3,1"} in site.engine.hook_calls()
    assert seen_inside(site, second) == ["/dev/nvidia1", "/dev/nvidia3"]
    assert seen_inside(site, first) == ["/dev/nvidia0"]


async def test_a_gpu_that_the_engine_does_not_have_is_a_reason_and_leaves_nothing(
    gpu_engine: SecondEngine,
) -> None:
    async with GpuSite(gpu_engine, inventory=("0", "9")).opened() as site:
        end = await site.final(site.start("true", GpuRequest(device_ids=("9",))))

        assert (end.state, end.reason) == (PartyRunState.FAILED, Reason.GPU_UNAVAILABLE)
        assert "9" in end.message
        # It is removed once its end is written down.
        await until(lambda: site.containers() == [])

        healthy = await site.final(site.start("true", GpuRequest(device_ids=("0",))))
        assert healthy.state is PartyRunState.SUCCEEDED


async def test_more_gpus_than_the_site_has_are_refused_before_anything_is_made(
    site: GpuSite,
) -> None:
    calls = len(site.engine.hook_calls())
    end = await site.final(site.start("true", GpuRequest(count=GPU_COUNT + 1)))

    assert (end.state, end.reason) == (PartyRunState.REFUSED, Reason.GPU_UNAVAILABLE)
    assert len(site.engine.hook_calls()) == calls


async def test_who_does_not_fit_waits_with_a_reason_until_gpus_are_free(site: GpuSite) -> None:
    holder = site.start(RUN_ON, GpuRequest(count=3))
    await site.until(holder, PartyRunState.RUNNING)
    waiting = site.start("true", GpuRequest(count=2))
    behind = site.start("true", GpuRequest(count=1))

    for party_run_id in (waiting, behind):
        report = await site.until(party_run_id, PartyRunState.PENDING)
        assert report.reason is Reason.WAITING_FOR_GPU, report

    site.engine.client.containers.get(container_name(holder)).kill()
    ends = [await site.final(party_run_id) for party_run_id in (waiting, behind)]
    assert [end.state for end in ends] == [PartyRunState.SUCCEEDED] * 2
    assert [len(end.gpu_ids) for end in ends] == [2, 1]


async def test_two_runs_never_hold_one_gpu(site: GpuSite) -> None:
    since = time.time() - 1
    requests = [GpuRequest(count=count) for count in (2, 1, 3, 4, 1, 2)]
    requests += [GpuRequest(device_ids=ids) for ids in (("0",), ("3", "0"), ("0", "1", "2"))]
    party_run_ids = [site.start("sleep 0.2", request) for request in requests]

    ends = [await site.final(party_run_id) for party_run_id in party_run_ids]

    assert {end.state for end in ends} == {PartyRunState.SUCCEEDED}
    visible = {call["container"]: call["visible"].split(",") for call in site.engine.hook_calls()}
    held: dict[str, str] = {}
    served = 0
    for event in engine_events(site, since):
        container = event["Actor"]["ID"]
        for gpu in visible.get(container, []):
            if event["Action"] == "start":
                assert gpu not in held, f"GPU {gpu} went to two containers at once"
                held[gpu] = container
            else:
                held.pop(gpu, None)
        served += event["Action"] == "start" and container in visible
    assert served == len(requests)


def engine_events(site: GpuSite, since: float) -> list[dict[str, Any]]:
    """Return the starts and ends of the site's containers, in the engine's order."""
    filters = {
        "type": "container",
        "event": ["start", "die"],
        "label": f"{LABEL_AGENT}={site.agent_key}",
    }
    stream = site.engine.client.events(
        since=f"{since:.6f}", until=f"{time.time():.6f}", filters=filters, decode=True
    )
    with_time = sorted(stream, key=lambda event: event["timeNano"])
    stream.close()
    return with_time
