"""Runs of whole agents over a real connection to a server that plays the flow server."""

import pytest

from flow_contract.lifecycle import Desired, PartyRunState
from flow_contract.reasons import Reason
from flow_wire import agents_pb2 as pb
from flow_wire.codec.assignments import encode_assignment
from party_agent.link import ACKNOWLEDGEMENT_DEADLINE_S
from tests.agent.fakes import FakeClock, make_assignment, until
from tests.agent.party import Site

S = PartyRunState


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


async def test_a_complete_set_in_several_messages_is_one_set(server, site):
    server.assign(make_assignment("run1"))
    await server.until_state(S.RUNNING, "run1")
    server.assigned = {"run2": make_assignment("run2")}
    server.parts_before = [
        pb.ServerMessage(
            assignments=pb.Assignments(
                assignments=[encode_assignment(make_assignment("run1"))], more_follow=True
            )
        )
    ]
    server.cut()
    await server.until_state(S.RUNNING, "run2")
    assert set(site.state.workloads) == {"run1", "run2"}
    assert site.agent.units.party_run_ids == ("run1", "run2")
