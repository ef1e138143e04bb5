"""The units of one site over the memory runtime, from assignment to acknowledgement."""

import asyncio
from dataclasses import replace

from flow_contract.lifecycle import Desired, PartyRunState
from flow_contract.reasons import Reason
from flow_contract.templates import GpuRequest, Resources
from party_agent.policy.site import Site
from party_agent.workload import make_workload
from tests.agent.fakes import make_assignment, make_spec, until
from tests.agent.place import Place

S = PartyRunState
TWO_GPUS = Resources(gpus=GpuRequest(count=2))
ONE_GPU = Resources(gpus=GpuRequest(count=1))


async def test_a_run_goes_through_every_stage_and_is_forgotten(place):
    place.assign(command=("exit", "0", "on", "trained"), desired=Desired.PREPARED)
    await place.ear.until(S.PREPARED)
    assert place.state.starts == {}
    place.assign(desired=Desired.RUNNING)
    running = await place.ear.until(S.RUNNING)
    assert running.started_at is not None
    place.state.fire("trained")
    end = await place.ear.until(S.SUCCEEDED)
    assert (end.reason, end.exit_code) == (Reason.COMPLETED, 0)
    await place.until_gone()
    assert place.state.workloads == {}
    assert place.journal.load() == []
    assert place.state.starts == {"run1": 1}


async def test_every_report_is_in_the_journal_before_it_is_offered(place):
    journaled = []
    offer = place.reporter.offer

    def check(report):
        (unit,) = place.journal.load()
        journaled.append((unit.sequence, unit.status.state) == (report.sequence, report.state))
        offer(report)

    place.reporter.offer = check
    place.assign(command=("exit", "0"))
    await place.ear.until(S.SUCCEEDED)
    assert journaled
    assert all(journaled)


async def test_sequences_grow_by_one_and_go_on_after_a_restart(place):
    place.assign(desired=Desired.PREPARED)
    before = await place.ear.until(S.PREPARED)
    await place.restart()
    place.assign(desired=Desired.RUNNING)
    after = await place.ear.until(S.RUNNING)
    assert after.sequence == before.sequence + 2


async def test_a_refused_run_is_reported_and_forgotten(place):
    place.assign(command=("refuse", "image_not_found"))
    report = await place.ear.until(S.REFUSED)
    assert report.reason is Reason.IMAGE_NOT_FOUND
    await place.until_gone()


async def test_an_assignment_that_was_on_its_way_does_not_run_a_second_time(place):
    place.assign(command=("exit", "0"))
    await place.until_gone()
    place.assign(command=("exit", "0"))
    await place.restart()
    place.assign(command=("exit", "0"), complete=True)
    assert place.units.party_run_ids == ()
    assert place.state.starts == {"run1": 1}


async def test_a_final_report_is_kept_until_it_is_acknowledged(tmp_path):
    place = await Place(tmp_path).open(acknowledging=False)
    place.assign(command=("exit", "7"))
    first = await place.ear.until(S.FAILED)
    await until(lambda: place.state.workloads == {})
    await place.restart(acknowledging=False)
    again = await place.ear.until(S.FAILED)
    assert again == first
    # Not named any more, and still nobody has said that the report arrived.
    place.units.assign([], complete=True)
    assert place.units.party_run_ids == ("run1",)
    place.units.acknowledge("run1", again.sequence)
    await place.until_gone()
    await place.close()


async def test_progress_of_a_pull_is_reported(place):
    place.assign(command=("hold", "exit", "0"))
    report = await place.ear.until(S.PREPARING, reason=Reason.PULLING_IMAGE)
    assert report.message
    place.state.let_prepare("run1")
    await place.ear.until(S.SUCCEEDED)


async def test_a_complete_set_has_what_runs_reported_again_with_a_new_number(place):
    place.assign(command=("exit", "0", "on", "go"), complete=True)
    running = await place.ear.until(S.RUNNING)
    place.assign(command=("exit", "0", "on", "go"))
    place.assign(command=("exit", "0", "on", "go"), complete=True)
    await until(lambda: place.ear.latest().sequence > running.sequence)
    again = place.ear.latest()
    assert replace(again, sequence=running.sequence) == running
    place.state.fire("go")
    await place.ear.until(S.SUCCEEDED)
    sequences = [one.sequence for one in place.ear.reports]
    assert sequences == sorted(set(sequences))


async def test_what_a_complete_set_does_not_name_is_stopped_and_forgotten(tmp_path):
    place = await Place(tmp_path).open(acknowledging=False)
    place.assign()
    place.assign("run2", order=2)
    await place.ear.until(S.RUNNING)
    await place.ear.until(S.RUNNING, "run2")
    place.assign("run2", order=2, complete=True)
    await place.until_gone()
    assert set(place.state.workloads) == {"run2"}
    assert place.units.party_run_ids == ("run2",)
    await place.close()


async def test_closing_twice_is_fine(place):
    await place.units.aclose()
    await place.units.aclose()


async def test_many_runs_at_once_each_start_once(place):
    names = [f"run{number}" for number in range(50)]
    place.units.assign(
        [
            replace(make_assignment(name, order=number), desired=Desired.RUNNING)
            for number, name in enumerate(names)
        ]
    )
    await asyncio.gather(*(place.ear.until(S.RUNNING, name) for name in names))
    assert place.state.starts == dict.fromkeys(names, 1)


class TestStopping:
    async def test_a_stop_does_not_wait_for_a_pull(self, place):
        place.assign(command=("hold", "run"))
        await place.ear.until(S.PREPARING, reason=Reason.PULLING_IMAGE)
        place.stop(cause=Reason.START_ROLLED_BACK)
        report = await place.ear.until(S.STOPPED)
        assert report.reason is Reason.START_ROLLED_BACK
        await place.until_gone()

    async def test_a_prepared_run_is_stopped_without_ever_starting(self, place):
        place.assign(desired=Desired.PREPARED)
        await place.ear.until(S.PREPARED)
        place.stop()
        await place.ear.until(S.STOPPED)
        await place.until_gone()
        assert place.state.starts == {}
        assert place.state.workloads == {}

    async def test_a_running_workload_is_stopped_with_its_code(self, place):
        place.assign()
        await place.ear.until(S.RUNNING)
        place.stop()
        report = await place.ear.until(S.STOPPED)
        assert (report.reason, report.exit_code) == (Reason.STOPPED_BY_USER, 143)
        await place.until_gone()

    async def test_a_stubborn_workload_is_killed_after_its_grace(self, place):
        place.assign(command=("stubborn",), stop_grace_s=0)
        await place.ear.until(S.RUNNING)
        place.assign(desired=Desired.STOPPED, cause=Reason.STOPPED_BY_USER)
        assert (await place.ear.until(S.STOPPED)).exit_code == 137

    async def test_a_run_stopped_before_it_was_known_never_starts(self, place):
        place.stop()
        await place.ear.until(S.STOPPED)
        await place.until_gone()
        assert place.state.starts == {}

    async def test_a_stop_is_not_taken_back(self, place):
        place.assign(desired=Desired.PREPARED)
        await place.ear.until(S.PREPARED)
        place.stop()
        place.assign(desired=Desired.RUNNING)
        await place.ear.until(S.STOPPED)
        assert place.state.starts == {}

    async def test_all_are_stopped_and_removed_before_an_agent_leaves(self, place):
        for number, command in enumerate([("run",), ("hold", "run"), ("exit", "0")]):
            place.assign(f"run{number}", command=command)
        await place.ear.until(S.RUNNING, "run0")
        await place.memory.prepare(
            make_workload(make_spec("stray"), Site(), (), None), lambda *_: None
        )
        await place.units.stop_all()
        assert place.state.workloads == {}
        place.assign("too-late")
        assert "too-late" not in place.units.party_run_ids
