"""An agent that leaves when its work is done."""

import asyncio
import signal
import sys

import pytest

from flow_contract.lifecycle import Desired, PartyRunState
from flow_contract.reasons import SENTENCES, Reason
from tests.agent.fakes import make_assignment, until
from tests.agent.party import Site
from tests.agent.processes import agent_process

S = PartyRunState


async def ended(site):
    """Return once the agent has left by itself."""
    await site.running


async def test_an_idle_agent_tells_the_server_and_leaves(server, site):
    await site.agent.connected.wait()
    site.agent.drain_soon()
    await ended(site)
    await server.until(lambda: server.drains == 1)


async def test_what_runs_ends_by_itself_and_only_then_the_agent_leaves(server, site):
    server.assign(make_assignment(command=("exit", "3", "on", "trained")))
    await server.until_state(S.RUNNING)
    site.agent.drain_soon()
    await server.until(lambda: server.drains == 1)
    assert not site.running.done()
    site.state.fire("trained")
    await ended(site)
    assert server.latest().exit_code == 3
    assert site.state.workloads == {}


async def test_what_is_new_is_refused_and_what_was_accepted_goes_on(server, site):
    command = ("exit", "0", "on", "trained")
    server.assign(make_assignment("run1", Desired.PREPARED, command=command))
    await server.until_state(S.PREPARED)
    site.agent.drain_soon()
    await server.until(lambda: server.drains == 1)
    server.assign(make_assignment("run2", Desired.PREPARED, order=2))
    refused = await server.until_state(S.REFUSED, "run2")
    assert (refused.reason, refused.message) == (
        Reason.PARTY_DRAINING,
        SENTENCES[Reason.PARTY_DRAINING],
    )
    server.assign(make_assignment("run1", Desired.RUNNING, command=command))
    await server.until_state(S.RUNNING)
    site.state.fire("trained")
    await ended(site)
    assert server.latest().state is S.SUCCEEDED
    assert site.state.starts == {"run1": 1}


async def test_every_later_session_begins_with_it(server, site):
    server.assign(make_assignment())
    await server.until_state(S.RUNNING)
    site.agent.drain_soon()
    await server.until(lambda: server.drains == 1)
    server.cut()
    await server.until(lambda: len(server.hellos) == 2)
    assert [hello.draining for hello in server.hellos] == [False, True]


async def test_an_agent_without_a_server_leaves_its_reports_to_the_next(server, site):
    server.assign(make_assignment(command=("exit", "3", "on", "trained")))
    await server.until_state(S.RUNNING)
    address = server.address
    await server.stop()
    await until(lambda: not site.agent.connected.is_set())
    site.agent.drain_soon()
    site.state.fire("trained")
    await ended(site)
    await server.start(address)
    await site.start()
    assert (await server.until_state(S.FAILED)).exit_code == 3
    assert not server.hellos[-1].draining


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_and_the_process_ends_well(tmp_path, server, number):
    async with agent_process(server, tmp_path, "--drain") as process:
        server.assign(make_assignment(command=("exit", "0", "after", "1")))
        await server.until_state(S.RUNNING)
        process.send_signal(number)
        assert await process.wait() == 0
    assert server.latest().state is S.SUCCEEDED
    assert server.drains == 1


@pytest.mark.skipif(sys.platform != "linux", reason="the process runtime needs Linux")
async def test_a_second_signal_leaves_at_once_and_workloads_run_on(tmp_path, server):
    script = 'while [ ! -e "$FEDFLOW_OUTPUT_DIR/go" ]; do sleep 0.05; done; exit 4'
    assignment = make_assignment(command=("/bin/sh", "-c", script))
    async with agent_process(server, tmp_path, "--drain", runtime="process") as process:
        server.assign(assignment)
        await server.until_state(S.RUNNING)
        process.send_signal(signal.SIGTERM)
        await server.until(lambda: server.drains == 1)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 1
    assert server.latest().state is S.RUNNING
    (tmp_path / "state" / "outputs" / "run1" / "go").write_text("")
    async with agent_process(server, tmp_path, runtime="process"):
        assert (await server.until_state(S.FAILED)).exit_code == 4


async def test_leaving_while_it_drains_keeps_workloads_running(tmp_path, server):
    site = Site(tmp_path / "state", server)
    await site.start()
    server.assign(make_assignment())
    await server.until_state(S.RUNNING)
    site.agent.drain_soon()
    await server.until(lambda: server.drains == 1)
    await site.leave()
    assert set(site.state.workloads) == {"run1"}


async def test_draining_may_be_asked_for_twice_and_before_the_agent_runs(tmp_path, server):
    site = Site(tmp_path / "state", server)
    await site.start()
    site.agent.drain_soon()
    site.agent.drain_soon()
    await asyncio.wait_for(ended(site), 60)
