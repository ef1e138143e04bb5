"""Units that wait for GPUs, for a runtime that is silent, or for somebody to mend a defect."""

from flow_contract.lifecycle import PartyRunState
from flow_contract.reasons import Reason
from flow_contract.templates import GpuRequest, Resources
from party_agent import endings
from party_agent.unreadable import Unreadable
from tests.agent.fakes import Flaky, make_assignment
from tests.agent.place import Place

S = PartyRunState
TWO_GPUS = Resources(gpus=GpuRequest(count=2))
ONE_GPU = Resources(gpus=GpuRequest(count=1))


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
