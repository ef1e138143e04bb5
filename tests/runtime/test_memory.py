import asyncio
import sys
from pathlib import Path

import pytest

from flow_contract.reasons import Reason
from party_agent.runtime.memory import MemoryRuntime
from party_agent.runtime.memory_state import MemoryState
from party_agent.runtime.port import Phase, Runtime, RuntimeRefused
from party_agent.runtime.script import parse
from tests.runtime.harness import (
    DEADLINE_S,
    Die,
    Dump,
    Exit,
    Harness,
    Missing,
    RunUntilStopped,
    Script,
)
from tests.runtime.suite import RuntimeBehaviour, all_exit, ignore


class MemoryHarness(Harness):
    missing_image_url = "fedflow-test/missing:1"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.state = MemoryState(images=frozenset({self.image_url}))

    def new_runtime(self) -> Runtime:
        return MemoryRuntime(self.state)

    def command(self, script: Script) -> tuple[str, ...]:  # noqa: PLR0911 - one per script
        match script:
            case Exit(code=code, when_released=True):
                # The workload's own id is the last one made.
                return ("exit", str(code), "on", f"release {self.made[-1]}")
            case Exit(code=code):
                return ("exit", str(code))
            case Die(signum=signum):
                return ("die", str(int(signum)))
            case RunUntilStopped(ignores_term=True):
                return ("stubborn",)
            case RunUntilStopped():
                return ("run",)
            case Dump():
                return ("dump",)
            case Missing():
                return ("missing",)

    def release(self, party_run_id: str) -> None:
        self.state.fire(f"release {party_run_id}")

    def starts(self, party_run_id: str) -> int:
        return self.state.starts.get(party_run_id, 0)

    def ended(self, party_run_id: str) -> bool:
        return self.state.workloads[party_run_id].seen.phase is Phase.EXITED

    async def leftovers(self, party_run_id: str) -> list[str]:
        return [party_run_id] if party_run_id in self.state.workloads else []


@pytest.fixture
async def harness(tmp_path):
    harness = MemoryHarness(tmp_path)
    yield harness
    await harness.aclose()


class TestMemoryRuntime(RuntimeBehaviour):
    # Its scripts are no programs, and can call nobody.
    test_a_workload_reaches_its_agent_over_the_socket = None


@pytest.fixture
async def runtime(harness):
    runtime = harness.new_runtime()
    await runtime.open()
    yield runtime
    await runtime.aclose()


def scripted(harness, *command):
    workload = harness.workload(RunUntilStopped())
    return type(workload)(**{**vars(workload), "command": command})


async def test_a_scripted_refusal_names_its_reason(harness, runtime):
    workload = scripted(harness, "refuse", "gpu_unavailable", "This site has one GPU.")
    with pytest.raises(RuntimeRefused, match="This site has one GPU") as refused:
        await runtime.prepare(workload, ignore)
    assert refused.value.reason is Reason.GPU_UNAVAILABLE
    assert await runtime.list() == []


async def test_a_held_prepare_reports_progress_and_goes_on_when_let(harness, runtime):
    workload = scripted(harness, "hold", "exit", "0")
    told = asyncio.Event()
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        preparing = group.create_task(runtime.prepare(workload, lambda reason, message: told.set()))
        await told.wait()
        assert await runtime.inspect(workload.party_run_id) is None
        assert not preparing.done()
        harness.state.let_prepare(workload.party_run_id)
    seen = await runtime.inspect(workload.party_run_id)
    assert seen.phase is Phase.PREPARED


async def test_a_workload_ends_after_its_time(harness, runtime):
    workload = scripted(harness, "exit", "7", "after", "0.01")
    await runtime.prepare(workload, ignore)
    assert (await runtime.launch(workload)).phase is Phase.RUNNING
    await all_exit(runtime, workload.party_run_id)
    assert (await runtime.inspect(workload.party_run_id)).exit_code == 7


async def test_one_event_ends_all_that_wait_for_it_also_those_started_later(harness, runtime):
    workloads = [scripted(harness, "exit", str(code), "on", "noon") for code in range(3)]
    for workload in workloads[:2]:
        await runtime.prepare(workload, ignore)
        await runtime.launch(workload)
    harness.state.fire("noon")
    await runtime.prepare(workloads[2], ignore)
    await runtime.launch(workloads[2])
    await all_exit(runtime, *(workload.party_run_id for workload in workloads))
    assert [seen.exit_code for seen in await runtime.list()] == [0, 1, 2]


async def test_a_workload_that_vanishes_has_no_code_and_no_finish_time(harness, runtime):
    workload = scripted(harness, "vanish")
    await runtime.prepare(workload, ignore)
    await runtime.launch(workload)
    await all_exit(runtime, workload.party_run_id)
    seen = await runtime.inspect(workload.party_run_id)
    assert (seen.phase, seen.exit_code, seen.finished_at) == (Phase.EXITED, None, None)


async def test_a_command_outside_the_language_is_refused(harness, runtime):
    with pytest.raises(RuntimeRefused, match="does not know"):
        await runtime.prepare(scripted(harness, "python", "-m", "train"), ignore)


async def test_a_thousand_idle_runtimes_start_no_thread_and_no_task():
    tasks, modules = len(asyncio.all_tasks()), set(sys.modules)
    runtimes = [MemoryRuntime() for _ in range(1000)]
    for runtime in runtimes:
        await runtime.open()
    assert len(asyncio.all_tasks()) == tasks
    assert set(sys.modules) == modules
    for runtime in runtimes:
        await runtime.aclose()


@pytest.mark.parametrize(
    "command", [("exit",), ("exit", "x"), ("exit", "0", "soon"), ("refuse", "mood"), ("hold", "x")]
)
def test_a_script_that_makes_no_sense_is_told_apart(command):
    with pytest.raises(ValueError, match=r".+"):
        parse(command)
