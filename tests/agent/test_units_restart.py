"""Agents that are killed and come back, and workloads that nobody knows."""

import pytest

from flow_contract.lifecycle import Desired, PartyRunState
from flow_contract.reasons import Reason
from flow_contract.templates import GpuRequest, Resources
from party_agent.policy.site import Site
from party_agent.workload import make_workload
from tests.agent.fakes import make_spec, until

S = PartyRunState
TWO_GPUS = Resources(gpus=GpuRequest(count=2))
ONE_GPU = Resources(gpus=GpuRequest(count=1))


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
