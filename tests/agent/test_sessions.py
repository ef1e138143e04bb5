"""How agents connect, are refused, come back and leave."""

import asyncio
import json

import grpc
import pytest
from structlog.testing import capture_logs

from flow_contract.lifecycle import PartyRunState
from flow_wire import agents_pb2 as pb
from party_agent.app import Agent
from party_agent.journal_file import StateDirInUse
from party_agent.runtime.memory import MemoryRuntime
from party_agent.settings import AgentSettings
from tests.agent.fakes import make_assignment, until
from tests.agent.party import Site

S = PartyRunState


async def test_heartbeats_are_sent_as_often_as_the_welcome_says(tmp_path, server):
    server.heartbeat_s = 1
    site = Site(tmp_path, server)
    await site.start()
    await server.until(lambda: server.heartbeats >= 1)
    await site.leave()


async def test_another_agent_of_the_party_is_said_clearly_and_tried_again(tmp_path, server):
    server.refusal = grpc.StatusCode.ALREADY_EXISTS
    site = Site(tmp_path, server)
    with capture_logs() as logs:
        await site.start()
        await server.until(lambda: len(server.hellos) >= 2)
    (first, *_) = [entry for entry in logs if entry["event"] == "connection_refused"]
    assert first["log_level"] == "error"
    assert "another agent of this party" in first["why"]
    server.refusal = None
    await site.agent.connected.wait()
    await site.leave()


async def test_a_server_that_does_not_welcome_is_left(tmp_path, server):
    server.first = pb.ServerMessage(acknowledgement=pb.Acknowledgement())
    site = Site(tmp_path, server)
    await site.start()
    await server.until(lambda: len(server.hellos) >= 2)
    assert not site.agent.connected.is_set()
    server.first = None
    await site.agent.connected.wait()
    await site.leave()


async def test_an_agent_waits_for_a_server_that_is_not_there_yet(tmp_path, server):
    address = server.address
    await server.stop()
    site = Site(tmp_path, server)
    await site.start()
    await server.start(address)
    await site.agent.connected.wait()
    await site.leave()


async def test_leaving_keeps_workloads_running(server, site):
    server.assign(make_assignment())
    await server.until_state(S.RUNNING)
    await site.leave()
    assert set(site.state.workloads) == {"run1"}
    assert server.latest().state is S.RUNNING


async def test_leaving_with_stop_ends_all_and_says_so(tmp_path, server):
    site = Site(tmp_path, server, on_exit="stop")
    await site.start()
    server.assign(make_assignment())
    await server.until_state(S.RUNNING)
    await site.leave()
    assert site.state.workloads == {}
    assert server.latest().state is S.STOPPED


async def test_a_ready_file_is_written_once_connected(tmp_path, server):
    path = tmp_path / "ready.json"
    server.refusal = grpc.StatusCode.UNAVAILABLE
    site = Site(tmp_path / "state", server, ready_file=path)
    await site.start()
    await server.until(lambda: server.hellos)
    assert not path.exists()
    server.refusal = None
    await until(path.exists)
    content = json.loads(path.read_text())
    assert content == {"party": "hospital-a", "server": server.address, "runtime": "memory"}
    await site.leave()


async def test_a_second_agent_on_the_same_state_directory_does_not_start(server, site):
    with pytest.raises(StateDirInUse):
        Agent(site.settings, MemoryRuntime())


async def test_an_agent_may_be_closed_before_it_runs_and_twice(tmp_path, server):
    site = Site(tmp_path, server)
    agent = Agent(site.settings, MemoryRuntime())
    await agent.aclose()
    await agent.aclose()
    await agent.run()
    assert server.hellos == []


async def test_many_agents_live_in_one_loop_with_a_connection_each(server):
    agents = [
        Agent(
            AgentSettings(
                insecure=True, server=server.address, party="hospital-a", runtime="memory"
            ),
            MemoryRuntime(),
        )
        for _ in range(50)
    ]
    running = [asyncio.create_task(agent.run()) for agent in agents]
    await asyncio.gather(*(agent.connected.wait() for agent in agents))
    server.assign(make_assignment())
    await server.until(lambda: len([one for one in server.reports if one.state is S.RUNNING]) == 50)
    assert len(set(server.peers)) == 50
    for agent in agents:
        await agent.aclose()
    await asyncio.gather(*running)
