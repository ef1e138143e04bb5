"""The units of one site over the memory runtime: every stage, restart, GPUs, stops."""

import asyncio
from dataclasses import replace

import pytest

from flow_contract.lifecycle import Desired, PartyRunState
from flow_contract.reasons import Reason
from flow_contract.templates import GpuRequest, Resources
from party_agent import endings
from party_agent.gpus import GpuInventory
from party_agent.journal import Journal
from party_agent.policy import Site
from party_agent.reporter import Reporter
from party_agent.runtime.memory import MemoryRuntime
from party_agent.runtime.memory_state import MemoryState
from party_agent.units import Units, Unreadable
from party_agent.workload import make_workload
from tests.agent.fakes import Ear, FakeClock, Flaky, make_assignment, make_spec, until

S = PartyRunState
TWO_GPUS = Resources(gpus=GpuRequest(count=2))
ONE_GPU = Resources(gpus=GpuRequest(count=1))


class Place:
    """One site. `restart` is a kill: nobody is told; disk and engine keep what they have."""

    def __init__(self, path, *, runtime=None, gpus=("0", "1")):
        self.state = MemoryState()
        self.clock = FakeClock()
        self.path = path
        self._wrap = runtime or (lambda memory: memory)
        self._gpus = GpuInventory(ids=gpus)

    async def open(self, *, acknowledging=True):
        self.journal = Journal(self.path)
        self.reporter = Reporter()
        self.memory = MemoryRuntime(self.state)
        self.runtime = self._wrap(self.memory)
        self.units = Units(
            site=Site(),
            runtime=self.runtime,
            journal=self.journal,
            reporter=self.reporter,
            gpus=self._gpus,
            clock=self.clock,
            outputs=None,
        )
        await self.runtime.open()
        await self.units.open()
        self.ear = Ear(self.reporter, self.units if acknowledging else None)
        return self

    async def close(self):
        await self.ear.aclose()
        await self.units.aclose()
        await self.runtime.aclose()
        self.journal.close()

    async def restart(self, *, acknowledging=True):
        await self.close()
        await self.open(acknowledging=acknowledging)

    def assign(self, *args, complete=False, **changes):
        self.units.assign([make_assignment(*args, **changes)], complete=complete)

    def stop(self, party_run_id="run1", cause=Reason.STOPPED_BY_USER):
        self.assign(party_run_id, Desired.STOPPED, cause)

    async def until_gone(self, party_run_id="run1"):
        await until(lambda: party_run_id not in self.units.party_run_ids)


@pytest.fixture
async def place(tmp_path):
    site = await Place(tmp_path / "state").open()
    yield site
    await site.close()


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


class TestRestart:
    @pytest.mark.parametrize(
        ("stage", "desired", "command"),
        [
            (S.PREPARING, Desired.RUNNING, ("hold", "exit", "0", "on", "go")),
            (S.PREPARED, Desired.PREPARED, ("exit", "0", "on", "go")),
            (S.RUNNING, Desired.RUNNING, ("exit", "0", "on", "go")),
        ],
    )
    async def test_a_killed_agent_goes_on_from_any_stage(self, place, stage, desired, command):
        place.assign(desired=desired, command=command)
        await place.ear.until(stage)
        await place.restart()
        place.state.let_prepare("run1")
        place.assign(desired=Desired.RUNNING, command=command, complete=True)
        await place.ear.until(S.RUNNING)
        place.state.fire("go")
        await place.ear.until(S.SUCCEEDED)
        assert place.state.starts == {"run1": 1}

    async def test_what_ended_while_no_agent_was_there_is_reported_as_it_ended(self, place):
        place.assign(command=("exit", "3", "on", "crash"))
        await place.ear.until(S.RUNNING)
        await place.close()
        place.state.fire("crash")
        await place.open()
        assert (await place.ear.until(S.FAILED)).exit_code == 3

    async def test_a_stop_goes_on_without_the_server(self, place):
        place.assign(command=("stubborn",), stop_grace_s=3600)
        await place.ear.until(S.RUNNING)
        place.stop()
        await until(lambda: any(unit.stop_stage == "asked" for unit in place.journal.load()))
        await place.restart()
        place.state.end("run1", 137)
        report = await place.ear.until(S.STOPPED)
        assert report.exit_code == 137

    async def test_gpus_stay_held_over_a_restart(self, place):
        place.assign(resources=TWO_GPUS)
        assert (await place.ear.until(S.RUNNING)).gpu_ids == ("0", "1")
        await place.restart()
        place.assign("run2", resources=ONE_GPU, order=2)
        await place.ear.until(S.PENDING, "run2", reason=Reason.WAITING_FOR_GPU)
        place.stop("run1")
        await place.ear.until(S.RUNNING, "run2")

    async def test_a_wait_for_gpus_goes_on_after_a_restart(self, place):
        place.assign(resources=TWO_GPUS)
        place.assign("run2", resources=ONE_GPU, order=2)
        await place.ear.until(S.RUNNING)
        await place.ear.until(S.PENDING, "run2", reason=Reason.WAITING_FOR_GPU)
        await place.restart()
        place.stop("run1")
        await place.ear.until(S.RUNNING, "run2")


class TestStrays:
    async def leave_stray(self, place):
        workload = make_workload(make_spec("stray"), Site(), (), None)
        await place.memory.prepare(workload, lambda *_: None)
        await place.memory.launch(workload)
        await place.restart()

    async def test_a_workload_that_nobody_knows_is_ended(self, place):
        await self.leave_stray(place)
        place.assign("run1")
        assert "stray" in place.state.workloads
        place.assign("run1", complete=True)
        await until(lambda: set(place.state.workloads) == {"run1"})

    async def test_a_workload_that_only_the_journal_lost_is_adopted(self, place):
        await self.leave_stray(place)
        place.assign("stray", complete=True)
        await place.ear.until(S.RUNNING, "stray")
        assert place.state.starts == {"stray": 1}


class TestGpus:
    async def test_who_does_not_fit_waits_visibly_and_in_order(self, place):
        place.units.assign(
            [
                make_assignment("c", order=3, resources=ONE_GPU),
                make_assignment("b", order=2, resources=TWO_GPUS),
                make_assignment("a", order=1, resources=ONE_GPU),
            ]
        )
        assert (await place.ear.until(S.RUNNING, "a")).gpu_ids == ("0",)
        waiting = await place.ear.until(S.PENDING, "b", reason=Reason.WAITING_FOR_GPU)
        assert waiting.message == "waiting for 2 GPUs; 1 of 2 free"
        behind = await place.ear.until(S.PENDING, "c", reason=Reason.WAITING_FOR_GPU)
        assert behind.message == "waiting for 1 GPU; 1 of 2 free, 1 run ahead in the queue"
        place.stop("a")
        running = await place.ear.until(S.RUNNING, "b")
        assert (running.gpu_ids, running.message) == (("0", "1"), "")
        place.stop("b")
        await place.ear.until(S.RUNNING, "c")

    async def test_a_stop_gives_up_the_place_in_the_queue(self, place):
        place.assign("a", order=1, resources=ONE_GPU)
        place.assign("b", order=2, resources=TWO_GPUS)
        place.assign("c", order=3, resources=ONE_GPU)
        await place.ear.until(S.PENDING, "c", reason=Reason.WAITING_FOR_GPU)
        place.stop("b")
        await place.ear.until(S.STOPPED, "b")
        await place.ear.until(S.RUNNING, "c")

    async def test_gpus_are_free_only_when_the_workload_is_removed(self, tmp_path):
        place = Place(tmp_path, runtime=lambda memory: Flaky(memory, remove=1))
        await place.open()
        place.assign("a", resources=TWO_GPUS, command=("exit", "0"))
        place.assign("b", order=2, resources=TWO_GPUS)
        await place.ear.until(S.SUCCEEDED, "a")
        await place.clock.until_asleep()
        assert place.ear.latest("b").state is S.PENDING
        place.clock.advance(3600)
        await place.ear.until(S.RUNNING, "b")
        await place.close()

    async def test_more_than_the_site_has_is_refused_at_once(self, place):
        place.assign(resources=Resources(gpus=GpuRequest(count=3)))
        report = await place.ear.until(S.REFUSED)
        assert report.reason is Reason.GPU_UNAVAILABLE


class TestTrouble:
    async def test_a_silent_runtime_is_reported_and_tried_again(self, tmp_path):
        place = Place(tmp_path, runtime=lambda memory: Flaky(memory, prepare=2))
        await place.open()
        place.assign()
        report = await place.ear.until(S.PREPARING, reason=Reason.RUNTIME_ERROR)
        assert report.message == endings.RUNTIME_SILENT
        await place.clock.until_asleep(1)
        place.clock.advance(1)
        await place.clock.until_asleep(2)
        place.clock.advance(2)
        await place.ear.until(S.RUNNING)
        assert place.clock.slept_s[:2] == [1, 2]
        await place.close()

    async def test_a_stop_does_not_wait_for_a_retry(self, tmp_path):
        place = Place(tmp_path, runtime=lambda memory: Flaky(memory, prepare=1))
        await place.open()
        place.assign()
        await place.clock.until_asleep()
        place.stop()
        await place.ear.until(S.STOPPED)
        await place.close()

    async def test_a_defect_in_a_step_is_no_end_and_harms_no_other(self, tmp_path):
        place = Place(tmp_path, runtime=lambda memory: Flaky(memory, prepare=1))
        await place.open()
        place.runtime.error = KeyError("a defect")
        place.assign()
        await place.clock.until_asleep()
        place.assign("run2", order=2)
        await place.ear.until(S.RUNNING, "run2")
        place.clock.advance(60)
        await place.ear.until(S.RUNNING, "run1")
        await place.close()

    async def test_an_exit_that_nobody_told_is_found_in_the_end(self, place):
        place.assign(command=("exit", "0", "on", "quietly"))
        await place.ear.until(S.RUNNING)
        await place.clock.until_asleep()
        place.state.listeners.clear()
        place.state.fire("quietly")
        place.clock.advance(60)
        await place.ear.until(S.SUCCEEDED)

    async def test_an_assignment_that_is_not_understood_is_refused(self, place):
        problem = Unreadable(party_run_id="run9", message="network: 7 is not a known value")
        place.units.assign([], unreadable=[problem], complete=True)
        report = await place.ear.until(S.REFUSED, "run9")
        assert "network: 7" in report.message
        assert report.finished_at is not None
        await place.until_gone("run9")

    async def test_what_is_not_understood_leaves_a_running_unit_alone(self, place):
        place.assign()
        await place.ear.until(S.RUNNING)
        problem = Unreadable(party_run_id="run1", message="desired: 9 is not a known value")
        place.units.assign([], unreadable=[problem], complete=True)
        place.assign("run2", order=2)
        await place.ear.until(S.RUNNING, "run2")
        assert place.ear.latest("run1").state is S.RUNNING


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
