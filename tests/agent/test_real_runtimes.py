"""Whole agents over the runtimes that run something, told by a server over a real connection."""

import asyncio
import os
import sys
from datetime import UTC, datetime

import pytest

from flow_contract.ids import new_id
from flow_contract.lifecycle import Desired, PartyRunState
from flow_contract.reasons import Reason
from flow_contract.templates import OnDisconnect
from party_agent.app import Agent
from party_agent.runtimes import agent_key, choose_runtime
from party_agent.settings import AgentSettings
from tests.agent.fakes import make_assignment, until
from tests.engine import connect_or_skip, containers_labelled
from tests.images import ensure_busybox_image

S = PartyRunState


@pytest.fixture(params=["process", pytest.param("docker", marks=pytest.mark.docker)])
async def runtime_name(request):
    if request.param == "docker":
        client = connect_or_skip()
        await asyncio.to_thread(ensure_busybox_image, client)
        client.close()
    elif not hasattr(os, "pidfd_open") or sys.platform != "linux":
        pytest.skip("the process runtime needs Linux")
    return request.param


class Site:
    def __init__(self, settings):
        self.settings = settings
        self._running = None

    async def start(self):
        self.agent = Agent(self.settings, await choose_runtime(self.settings))
        self._running = asyncio.create_task(self.agent.run())

    async def kill(self):
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)

    def has_ended(self, run_id):
        """Say whether the workload has ended, found out without an agent."""
        if self.settings.runtime == "process":
            return (self.settings.state_dir / "workloads" / run_id / "ended.json").exists()
        client = connect_or_skip()
        try:
            return not client.inspect_container(f"fedflow-{run_id}")["State"]["Running"]
        finally:
            client.close()

    def left_behind(self):
        if self.settings.runtime == "process":
            return []
        client = connect_or_skip()
        key = agent_key(self.settings, self.settings.state_dir)
        try:
            return containers_labelled(client, "io.fedflow.agent", key)
        finally:
            client.close()


@pytest.fixture
async def site(tmp_path, server, runtime_name):
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "a.csv").write_text("1,2\n")
    site = Site(
        AgentSettings(
            insecure=True,
            server=server.address,
            party="hospital-a",
            runtime=runtime_name,
            state_dir=tmp_path / "state",
            data={"scans": tmp_path / "scans"},
            warm_sandboxes=0,
            on_exit="stop",
            first_backoff_s=0.05,
        )
    )
    await site.start()
    yield site
    await site.agent.aclose()
    assert await asyncio.to_thread(site.left_behind) == []


def shell(script, desired=Desired.RUNNING, **changes):
    fields = {
        "image_url": "fedflow-test-busybox:1",
        "command": ("/bin/sh", "-c", script),
        **changes,
    }
    return make_assignment(fields.pop("party_run_id"), desired, **fields)


@pytest.fixture
def run_id():
    return new_id()


async def test_a_workload_reads_its_data_and_leaves_its_output(server, site, run_id):
    script = 'cat "$FEDFLOW_DATA_DIR/a.csv" > "$FEDFLOW_OUTPUT_DIR/copy"'
    server.assign(shell(script, party_run_id=run_id, federated_data="scans"))
    end = await server.until_state(S.SUCCEEDED, run_id)
    assert end.exit_code == 0
    assert end.started_at <= end.finished_at
    outputs = site.settings.state_dir / "outputs"
    assert (outputs / run_id / "copy").read_text() == "1,2\n"
    await until(lambda: site.agent.units.party_run_ids == ())


async def test_an_exit_code_arrives(server, site, run_id):
    server.assign(shell("exit 7", party_run_id=run_id))
    end = await server.until_state(S.FAILED, run_id)
    assert (end.reason, end.exit_code) == (Reason.EXIT_NONZERO, 7)


async def test_a_command_that_does_not_exist_is_said(server, site, run_id):
    server.assign(shell("", party_run_id=run_id, command=("/no/such/program",)))
    end = await server.until_state(S.FAILED, run_id)
    assert (end.reason, end.exit_code) == (Reason.COMMAND_NOT_FOUND, 127)


async def test_a_stop_ends_it(server, site, run_id):
    script = "trap 'exit 3' TERM; while :; do sleep 0.1; done"
    server.assign(shell(script, party_run_id=run_id))
    await server.until_state(S.RUNNING, run_id)
    server.assign(shell(script, Desired.STOPPED, party_run_id=run_id, stop_grace_s=60))
    end = await server.until_state(S.STOPPED, run_id)
    assert end.exit_code is not None


async def test_a_killed_agent_s_successor_adopts_the_workload(server, site, run_id):
    script = (
        'echo once >> "$FEDFLOW_OUTPUT_DIR/starts";'
        'while [ ! -e "$FEDFLOW_OUTPUT_DIR/go" ]; do sleep 0.1; done; exit 5'
    )
    server.assign(shell(script, party_run_id=run_id))
    await server.until_state(S.RUNNING, run_id)
    await site.kill()
    await site.start()
    await server.until(lambda: len(server.hellos) == 2)
    output = site.settings.state_dir / "outputs" / run_id
    (output / "go").write_text("")
    end = await server.until_state(S.FAILED, run_id)
    assert end.exit_code == 5
    assert (output / "starts").read_text() == "once\n"


async def test_an_agent_that_leaves_with_stop_ends_what_runs(server, site, run_id):
    server.assign(shell("exec sleep 600", party_run_id=run_id, stop_grace_s=1))
    await server.until_state(S.RUNNING, run_id)
    await site.agent.aclose()
    assert server.latest(run_id).state is S.STOPPED


async def test_an_end_while_no_agent_was_there_is_reported_with_its_true_code_and_time(
    server, site, run_id
):
    script = 'while [ ! -e "$FEDFLOW_OUTPUT_DIR/go" ]; do sleep 0.1; done; exit 5'
    server.assign(shell(script, party_run_id=run_id))
    await server.until_state(S.RUNNING, run_id)
    await site.kill()
    released_at = datetime.now(UTC)
    (site.settings.state_dir / "outputs" / run_id / "go").write_text("")
    while not await asyncio.to_thread(site.has_ended, run_id):  # noqa: ASYNC110  nobody tells
        await asyncio.sleep(0.05)
    back_at = datetime.now(UTC)
    await site.start()
    end = await server.until_state(S.FAILED, run_id)
    assert (end.reason, end.exit_code) == (Reason.EXIT_NONZERO, 5)
    assert released_at <= end.finished_at <= back_at


async def test_a_workload_that_takes_too_long_is_stopped(server, site, run_id):
    server.assign(shell("exec sleep 600", party_run_id=run_id, run_timeout_s=1, stop_grace_s=1))
    end = await server.until_state(S.FAILED, run_id)
    assert end.reason is Reason.TIMED_OUT
    assert end.exit_code is not None
    assert (end.finished_at - end.started_at).total_seconds() >= 0.9


async def test_a_site_without_its_server_stops_by_itself_and_says_so_later(server, site, run_id):
    limits = {"on_disconnect": OnDisconnect(stop_after_s=1), "stop_grace_s": 1}
    server.assign(shell("exec sleep 600", party_run_id=run_id, **limits))
    await server.until_state(S.RUNNING, run_id)
    address = server.address
    await server.stop()
    await until(lambda: all(unit.is_final for unit in site.agent.units.held))
    assert server.latest(run_id).state is S.RUNNING
    await server.start(address)
    end = await server.until_state(S.STOPPED, run_id)
    assert end.reason is Reason.SITE_DISCONNECTED
    await until(lambda: site.agent.units.party_run_ids == ())
