"""Whole agents over a real connection to a server that plays the flow server."""

import asyncio
import json

import grpc
import pytest
from structlog.testing import capture_logs

from flow_contract.lifecycle import Desired, PartyRunState
from flow_contract.reasons import Reason
from flow_wire import agents_pb2 as pb
from flow_wire.codec.assignments import encode_assignment
from party_agent.app import Agent
from party_agent.gpus import GpuInventory
from party_agent.journal import StateDirInUse
from party_agent.link import ACKNOWLEDGEMENT_DEADLINE_S
from party_agent.runtime.memory import MemoryRuntime
from party_agent.runtime.memory_state import MemoryState
from party_agent.settings import AgentSettings
from tests.agent.fake_server import FakeServer
from tests.agent.fakes import FakeClock, make_assignment, until

S = PartyRunState


class Site:
    """One party's machine: a state directory and an engine that outlive its agents."""

    def __init__(self, path, server, *, clock=None, **settings):
        self._clock = clock
        self.state = MemoryState()
        self.settings = AgentSettings(
            server=server.address,
            party="hospital-a",
            runtime="memory",
            state_dir=path,
            first_backoff_s=0.01,
            max_backoff_s=0.1,
            **settings,
        )
        self._running = None

    async def start(self):
        self.agent = Agent(
            self.settings,
            MemoryRuntime(self.state),
            gpus=GpuInventory(ids=("0", "1")),
            clock=self._clock,
        )
        self._running = asyncio.create_task(self.agent.run())

    async def kill(self):
        """End the agent with no chance to say anything."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
            self._running = None

    async def leave(self):
        await self.agent.aclose()
        await self._running
        self._running = None


@pytest.fixture
async def server():
    server = await FakeServer().start()
    yield server
    await server.stop()


@pytest.fixture
async def site(tmp_path, server):
    (tmp_path / "scans").mkdir()
    site = Site(tmp_path / "state", server, name="Hospital A", data={"scans": tmp_path / "scans"})
    await site.start()
    yield site
    await site.kill()


async def test_the_hello_says_who_the_agent_is_and_what_it_has(server, site):
    await server.until(lambda: server.hellos)
    (hello,) = server.hellos
    assert (hello.federated_id, hello.name) == ("hospital-a", "Hospital A")
    assert len(hello.instance_id) == 32
    assert hello.inventory.runtime == "memory"
    assert list(hello.inventory.gpu_ids) == ["0", "1"]
    assert list(hello.inventory.data_names) == ["scans"]
    assert hello.inventory.cpus > 0
    assert hello.inventory.memory_bytes > 0


async def test_a_run_goes_through_all_its_states_over_the_connection(server, site):
    command = ("exit", "0", "on", "trained")
    server.assign(make_assignment(desired=Desired.PREPARED, command=command))
    await server.until_state(S.PREPARED)
    server.assign(make_assignment(desired=Desired.RUNNING, command=command))
    running = await server.until_state(S.RUNNING)
    assert running.started_at is not None
    site.state.fire("trained")
    end = await server.until_state(S.SUCCEEDED)
    assert (end.reason, end.exit_code) == (Reason.COMPLETED, 0)
    assert end.finished_at is not None
    await until(lambda: site.agent.units.party_run_ids == ())
    sequences = [report.sequence for report in server.reports]
    assert sequences == sorted(set(sequences))


@pytest.mark.parametrize(
    ("command", "stage", "exit_code"),
    [(("hold", "run"), S.PREPARING, None), (("run",), S.RUNNING, 143)],
)
async def test_a_stop_arrives_at_every_stage(server, site, command, stage, exit_code):
    server.assign(make_assignment(command=command))
    await server.until_state(stage)
    server.assign(make_assignment("run1", Desired.STOPPED, Reason.STOPPED_BY_USER, command=command))
    end = await server.until_state(S.STOPPED)
    assert (end.reason, end.exit_code) == (Reason.STOPPED_BY_USER, exit_code)
    await until(lambda: site.state.workloads == {})


async def test_what_was_not_acknowledged_is_sent_again_on_the_next_connection(server, site):
    server.acknowledging = False
    server.assign(make_assignment(command=("exit", "7")))
    first = await server.until_state(S.FAILED)
    server.reports.clear()
    server.acknowledging = True
    server.cut()
    assert await server.until_state(S.FAILED) == first
    assert list(server.hellos[-1].party_run_ids) == ["run1"]
    await until(lambda: site.agent.units.party_run_ids == ())


async def test_a_server_that_stops_acknowledging_is_dialled_anew(tmp_path, server):
    clock = FakeClock()
    server.acknowledging = False
    site = Site(tmp_path, server, clock=clock)
    await site.start()
    server.assign(make_assignment("run1", Desired.PREPARED))
    await server.until_state(S.PREPARED)
    # Each look lets time pass, `advance` returns nothing.
    await until(lambda: len(server.hellos) == 2 or clock.advance(ACKNOWLEDGEMENT_DEADLINE_S))
    await site.kill()


async def test_a_run_goes_on_while_the_server_is_away(server, site):
    server.assign(make_assignment(command=("exit", "0", "on", "trained")))
    await server.until_state(S.RUNNING)
    address = server.address
    await server.stop()
    site.state.fire("trained")
    await until(lambda: site.state.workloads == {})
    await server.start(address)
    await server.until_state(S.SUCCEEDED)
    assert site.state.starts == {"run1": 1}


async def test_a_killed_agent_s_successor_adopts_what_runs(server, site):
    server.assign(make_assignment(command=("exit", "0", "on", "trained")))
    await server.until_state(S.RUNNING)
    await site.kill()
    assert set(site.state.workloads) == {"run1"}
    await site.start()
    await server.until(lambda: len(server.hellos) == 2)
    assert server.hellos[0].instance_id == server.hellos[1].instance_id
    assert list(server.hellos[1].party_run_ids) == ["run1"]
    site.state.fire("trained")
    await server.until_state(S.SUCCEEDED)
    assert site.state.starts == {"run1": 1}


async def test_a_run_that_the_server_no_longer_names_is_ended(server, site):
    server.assign(make_assignment())
    await server.until_state(S.RUNNING)
    server.assigned.clear()
    server.cut()
    await until(lambda: site.state.workloads == {} and site.agent.units.party_run_ids == ())


async def test_an_assignment_that_is_not_understood_is_reported_refused(server, site):
    wire = encode_assignment(make_assignment())
    wire.spec.network = 99
    server.assign(make_assignment("fine", order=2))
    await server.until(lambda: server.hellos)
    await site.agent.connected.wait()
    server.say(pb.ServerMessage(assignments=pb.Assignments(assignments=[wire])))
    report = await server.until_state(S.REFUSED)
    assert "network: 99" in report.message
    await server.until_state(S.RUNNING, "fine")


async def test_an_id_that_can_not_name_a_directory_is_not_run(server, site):
    bad = make_assignment("../../etc")
    server.assign(bad, make_assignment("fine"))
    await server.until_state(S.RUNNING, "fine")
    assert set(site.state.workloads) == {"fine"}
    assert site.agent.units.party_run_ids == ("fine",)


async def test_a_message_of_a_newer_server_is_ignored(server, site):
    await site.agent.connected.wait()
    server.say(pb.ServerMessage())
    server.assign(make_assignment())
    await server.until_state(S.RUNNING)
    assert len(server.hellos) == 1


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
            AgentSettings(server=server.address, party=f"party-{number}", runtime="memory"),
            MemoryRuntime(),
        )
        for number in range(50)
    ]
    running = [asyncio.create_task(agent.run()) for agent in agents]
    await asyncio.gather(*(agent.connected.wait() for agent in agents))
    server.assign(make_assignment())
    await server.until(lambda: len([one for one in server.reports if one.state is S.RUNNING]) == 50)
    assert len(set(server.peers)) == 50
    for agent in agents:
        await agent.aclose()
    await asyncio.gather(*running)
