from dataclasses import replace
from datetime import UTC, datetime

import pytest

from flow_contract.lifecycle import Desired, PartyRunState
from flow_contract.reasons import SENTENCES, Reason
from party_agent import endings
from party_agent.controller import Controller, retry_delay_s
from party_agent.policy.site import Site
from party_agent.runtime.memory import MemoryRuntime
from party_agent.runtime.memory_state import MemoryState
from party_agent.runtime.port import Observation, Phase, RuntimeRefused
from party_agent.unit import Status, StopStage, Unit, new_unit
from party_agent.workload import make_workload
from tests.agent.fakes import Flaky, OpenGate, make_assignment, make_spec

S = PartyRunState
NOW = datetime(2030, 1, 1, tzinfo=UTC)
EARLIER = datetime(2029, 12, 31, tzinfo=UTC)


def make_unit(state=S.PENDING, desired=Desired.RUNNING, cause=Reason.NONE, **changes):
    status = Status(state=state, observed_at=EARLIER)
    return Unit(spec=make_spec(**changes), desired=desired, cause=cause, status=status)


class Bench:
    """A controller over the memory runtime, with every verb counted."""

    def __init__(self, **failures):
        self.state = MemoryState()
        self.memory = MemoryRuntime(self.state)
        self.runtime = Flaky(self.memory, **failures)
        self.told = []
        self.controller = Controller(
            runtime=self.runtime,
            make_workload=self.make_workload,
            now=lambda: NOW,
            gate=OpenGate(),
        )

    async def make_workload(self, unit):
        return make_workload(unit.spec, Site(), unit.status.gpu_ids, None)

    async def step(self, unit):
        self.runtime.calls.clear()
        after = await self.controller.step(unit, lambda *told: self.told.append(told))
        assert len(self.runtime.calls) <= 1
        return after

    async def walk(self, unit, to):
        for _ in range(10):
            if unit.status.state is to:
                return unit
            unit = await self.step(unit)
        raise AssertionError(f"stuck at {unit.status}")

    def replace_seen(self, **seen):
        entry = self.state.workloads["run1"]
        entry.seen = replace(entry.seen, **seen)


async def test_each_step_calls_the_runtime_once_at_most_and_passes_every_state():
    bench = Bench()
    unit = new_unit(make_assignment(), EARLIER)
    seen = [(unit.status.state, [])]
    for _ in range(4):
        unit = await bench.step(unit)
        seen.append((unit.status.state, list(bench.runtime.calls)))
    assert seen == [
        (S.PENDING, []),
        (S.PREPARING, []),
        (S.PREPARED, ["prepare"]),
        (S.LAUNCHING, []),
        (S.RUNNING, ["launch"]),
    ]
    assert unit.status.observed_at == NOW
    assert unit.status.started_at is not None


async def test_it_stays_prepared_until_it_is_wanted_running():
    bench = Bench()
    unit = await bench.walk(make_unit(desired=Desired.PREPARED), S.PREPARED)
    assert await bench.step(unit) == unit
    assert bench.state.starts == {}


async def test_a_running_workload_that_goes_on_is_no_news():
    bench = Bench()
    unit = await bench.walk(make_unit(), S.RUNNING)
    assert await bench.step(unit) == unit


@pytest.mark.parametrize(
    ("exit_code", "oom_killed", "state", "reason", "words"),
    [
        (0, False, S.SUCCEEDED, Reason.COMPLETED, "exit code 0"),
        (0, True, S.SUCCEEDED, Reason.COMPLETED, "too much memory"),
        (7, False, S.FAILED, Reason.EXIT_NONZERO, "Exit code 7"),
        (137, True, S.FAILED, Reason.OOM_KILLED, "memory"),
        (1, True, S.FAILED, Reason.OOM_KILLED, "memory"),
        (137, False, S.FAILED, Reason.KILLED_BY_SIGNAL, "SIGKILL"),
        (139, False, S.FAILED, Reason.KILLED_BY_SIGNAL, "SIGSEGV"),
        (160, False, S.FAILED, Reason.KILLED_BY_SIGNAL, "signal 32"),
        (127, False, S.FAILED, Reason.COMMAND_NOT_FOUND, "command"),
        (126, False, S.FAILED, Reason.COMMAND_NOT_FOUND, "command"),
        (255, False, S.FAILED, Reason.EXIT_NONZERO, "Exit code 255"),
        (None, False, S.FAILED, Reason.WORKLOAD_VANISHED, "disappeared"),
    ],
)
async def test_an_end_is_explained_by_its_exit(exit_code, oom_killed, state, reason, words):
    bench = Bench()
    unit = await bench.walk(make_unit(), S.RUNNING)
    bench.replace_seen(
        phase=Phase.EXITED, exit_code=exit_code, oom_killed=oom_killed, finished_at=EARLIER
    )
    after = await bench.step(unit)
    status = after.status
    assert (status.state, status.reason, status.exit_code) == (state, reason, exit_code)
    assert words in status.message
    assert status.finished_at == EARLIER


async def test_a_command_that_is_found_missing_after_the_start_is_named_too():
    bench = Bench()
    unit = await bench.walk(make_unit(command=("run",)), S.RUNNING)
    bench.replace_seen(phase=Phase.EXITED, exit_code=127, finished_at=EARLIER)
    assert "'run'" in (await bench.step(unit)).status.message


async def test_a_workload_that_is_gone_has_vanished():
    bench = Bench()
    unit = await bench.walk(make_unit(), S.RUNNING)
    await bench.memory.remove("run1")
    status = (await bench.step(unit)).status
    assert (status.state, status.reason) == (S.FAILED, Reason.WORKLOAD_VANISHED)
    assert status.finished_at == NOW


async def test_a_launch_that_finds_an_ended_workload_reports_its_end():
    bench = Bench()
    unit = await bench.walk(make_unit(), S.LAUNCHING)
    await bench.memory.launch(make_workload(unit.spec, Site(), (), None))
    bench.state.end("run1", 3)
    status = (await bench.step(unit)).status
    assert (status.state, status.exit_code) == (S.FAILED, 3)
    assert status.started_at is not None


@pytest.mark.parametrize("reason", sorted(endings.SITE_SIDE))
async def test_a_site_that_can_not_prepare_it_refuses_it(reason):
    bench = Bench()
    unit = make_unit(state=S.PREPARING, command=("refuse", reason.value, "Not here."))
    status = (await bench.step(unit)).status
    assert (status.state, status.reason, status.message) == (S.REFUSED, reason, "Not here.")
    assert status.finished_at == NOW


async def test_a_runtime_error_in_prepare_is_a_failure():
    bench = Bench()
    unit = make_unit(state=S.PREPARING, command=("refuse", "runtime_error"))
    status = (await bench.step(unit)).status
    assert (status.state, status.reason) == (S.FAILED, Reason.RUNTIME_ERROR)


async def test_a_command_that_does_not_exist_fails_the_launch_with_its_code():
    bench = Bench()
    unit = await bench.walk(make_unit(command=("missing",)), S.FAILED)
    status = unit.status
    assert (status.reason, status.exit_code) == (Reason.COMMAND_NOT_FOUND, 127)


@pytest.mark.parametrize("reason", sorted(endings.SITE_SIDE))
def test_a_refusal_while_launching_is_a_failure(reason):
    unit = endings.refused(make_unit(state=S.LAUNCHING), RuntimeRefused(reason, ""), NOW)
    assert unit.status.state is S.FAILED
    assert unit.status.message == SENTENCES[reason]


@pytest.mark.parametrize("state", [S.PENDING, S.PREPARING, S.PREPARED])
async def test_a_stop_before_the_launch_asks_nothing_of_the_runtime(state):
    bench = Bench()
    unit = make_unit(state=state, desired=Desired.STOPPED, cause=Reason.START_ROLLED_BACK)
    status = (await bench.step(unit)).status
    assert bench.runtime.calls == []
    assert (status.state, status.reason) == (S.STOPPED, Reason.START_ROLLED_BACK)
    assert (status.exit_code, status.finished_at) == (None, NOW)


async def test_a_stop_of_a_running_workload_looks_stops_and_reads_the_code():
    bench = Bench()
    unit = await bench.walk(make_unit(), S.RUNNING)
    unit = replace(unit, desired=Desired.STOPPED, cause=Reason.STOPPED_BY_USER)
    calls = []
    while not unit.is_final:
        unit = await bench.step(unit)
        calls += bench.runtime.calls
    assert calls == ["inspect", "stop", "inspect"]
    assert (unit.status.state, unit.status.reason) == (S.STOPPED, Reason.STOPPED_BY_USER)
    assert unit.status.exit_code == 143


async def test_a_stop_that_comes_after_the_end_reports_what_really_happened():
    bench = Bench()
    unit = await bench.walk(make_unit(), S.RUNNING)
    bench.state.end("run1", 0)
    unit = replace(unit, desired=Desired.STOPPED, cause=Reason.STOPPED_BY_USER)
    status = (await bench.step(unit)).status
    assert (status.state, status.exit_code) == (S.SUCCEEDED, 0)


async def test_a_stop_interrupted_by_a_crash_is_still_the_cause_of_the_end():
    bench = Bench()
    unit = await bench.walk(make_unit(), S.RUNNING)
    bench.state.end("run1", 137)
    unit = replace(
        unit,
        desired=Desired.STOPPED,
        cause=Reason.STOPPED_BY_USER,
        stop_stage=StopStage.ASKED,
    )
    unit = await bench.walk(unit, S.STOPPED)
    assert unit.status.exit_code == 137


async def test_a_stop_while_launching_that_never_launched_is_just_stopped():
    bench = Bench()
    unit = await bench.walk(make_unit(), S.LAUNCHING)
    unit = replace(unit, desired=Desired.STOPPED, cause=Reason.STOPPED_BY_USER)
    status = (await bench.step(unit)).status
    assert (status.state, status.exit_code) == (S.STOPPED, None)
    assert bench.state.starts == {}


async def test_what_still_runs_after_its_stop_is_stopped_again():
    bench = Bench()
    unit = await bench.walk(make_unit(), S.RUNNING)
    unit = replace(unit, desired=Desired.STOPPED, stop_stage=StopStage.ENDED)
    after = await bench.step(unit)
    assert (after.stop_stage, after.failures) == (StopStage.ASKED, 1)


async def test_an_ended_unit_is_removed_once():
    bench = Bench()
    unit = await bench.walk(make_unit(command=("missing",)), S.FAILED)
    removed = await bench.step(unit)
    assert removed.removed
    assert removed.status == unit.status
    assert await bench.step(removed) == removed
    assert bench.runtime.calls == []


@pytest.mark.parametrize(
    ("verb", "state"),
    [("prepare", S.PREPARING), ("launch", S.LAUNCHING), ("inspect", S.RUNNING)],
)
async def test_a_silent_runtime_is_visible_and_never_an_end(verb, state):
    bench = Bench()
    unit = await bench.walk(make_unit(), state)
    bench.runtime._failures[verb] = 3
    for failures in (1, 2, 3):
        unit = await bench.step(unit)
        assert unit.failures == failures
        assert unit.status.state is state
        assert unit.status.message == endings.RUNTIME_SILENT
    after = await bench.step(unit)
    assert (after.failures, after.status.message) == (0, "")


async def test_a_silent_runtime_does_not_change_how_a_workload_ended():
    bench = Bench(remove=1)
    unit = await bench.walk(make_unit(command=("missing",)), S.FAILED)
    after = await bench.step(unit)
    assert (after.status, after.failures, after.removed) == (unit.status, 1, False)


def test_retries_wait_longer_and_longer_up_to_a_minute():
    assert [retry_delay_s(failures) for failures in (1, 2, 3, 7, 100)] == [1, 2, 4, 60, 60]


async def test_the_policy_is_asked_before_anything_is_prepared():
    bench = Bench()
    unit = make_unit(federated_data="unknown")
    status = (await bench.step(unit)).status
    assert (status.state, status.reason) == (S.REFUSED, Reason.DATA_UNKNOWN)
    assert bench.runtime.calls == []


@pytest.mark.parametrize("exit_code", [0, 1, 2, 125, 126, 127, 128, 129, 143, 192, 193, 255, None])
@pytest.mark.parametrize("oom_killed", [False, True])
def test_every_end_has_a_reason_and_a_sentence(exit_code, oom_killed):
    seen = Observation(
        party_run_id="run1", phase=Phase.EXITED, exit_code=exit_code, oom_killed=oom_killed
    )
    reason, message = endings.explain_exit(seen)
    assert reason is not Reason.NONE
    assert message.endswith(".")
