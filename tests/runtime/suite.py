"""What every runtime must do; a test file per runtime subclasses this with its `harness`."""

import asyncio
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flow_contract.reasons import Reason
from party_agent.runtime.port import Observation, Phase, Runtime, RuntimeRefused, Workload
from tests.runtime.harness import (
    DEADLINE_S,
    Die,
    Dump,
    Exit,
    Harness,
    Missing,
    RunUntilStopped,
    until,
)


def ignore(reason: Reason, message: str) -> None:
    """Take progress and do nothing with it."""


async def started(runtime: Runtime, workload: Workload) -> Observation:
    await runtime.prepare(workload, ignore)
    return await runtime.launch(workload)


async def all_exit(runtime: Runtime, *party_run_ids: str) -> list[str]:
    """Return the ids in the order in which `exits` first named them, once it named all."""
    order: list[str] = []
    async with asyncio.timeout(DEADLINE_S), aclosing(as_generator(runtime)) as exits:
        async for party_run_id in exits:
            if party_run_id in party_run_ids and party_run_id not in order:
                order.append(party_run_id)
            if len(order) == len(party_run_ids):
                return order
    raise AssertionError(f"exits() ended after {order}")


async def as_generator(runtime: Runtime) -> AsyncIterator[str]:
    async for party_run_id in runtime.exits():
        yield party_run_id


async def exited(runtime: Runtime, party_run_id: str) -> Observation:
    """Return the workload's observation once it has ended, without consuming `exits`."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            seen = await runtime.inspect(party_run_id)
            if seen is not None and seen.phase is Phase.EXITED:
                return seen
            await asyncio.sleep(0.02)


async def cancelled(verb: Coroutine[Any, Any, Any], *, after_turns: int) -> None:
    """Let `verb` run for some turns of the loop, then cancel it."""
    task = asyncio.create_task(verb)
    for _ in range(after_turns):
        await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


class RuntimeBehaviour:
    """Subclasses give a `harness` fixture."""

    @pytest.fixture
    async def runtime(self, harness: Harness) -> AsyncIterator[Runtime]:
        runtime = harness.new_runtime()
        await runtime.open()
        yield runtime
        await runtime.aclose()

    # --- prepare

    async def test_prepare_may_be_repeated(self, harness: Harness, runtime: Runtime) -> None:
        workload = harness.workload(Exit(code=0))
        first = await runtime.prepare(workload, ignore)
        assert await runtime.prepare(workload, ignore) == first
        assert [seen.party_run_id for seen in await runtime.list()] == [workload.party_run_id]

    async def test_nothing_runs_before_launch(self, harness: Harness, runtime: Runtime) -> None:
        workload = harness.workload(Exit(code=0))
        await runtime.prepare(workload, ignore)
        seen = await runtime.inspect(workload.party_run_id)
        assert seen is not None
        assert (seen.phase, seen.exit_code, seen.started_at) == (Phase.PREPARED, None, None)
        assert harness.starts(workload.party_run_id) == 0

    async def test_what_was_prepared_is_launched_by_a_restarted_agent(
        self, harness: Harness, runtime: Runtime
    ) -> None:
        workload = harness.workload(Exit(code=3))
        await runtime.prepare(workload, ignore)
        await runtime.aclose()
        again = harness.new_runtime()
        await again.open()
        try:
            await again.launch(workload)
            assert (await exited(again, workload.party_run_id)).exit_code == 3
            assert harness.starts(workload.party_run_id) == 1
        finally:
            await again.aclose()

    async def test_an_image_that_does_not_exist_is_refused_and_leaves_nothing(
        self, harness: Harness, runtime: Runtime
    ) -> None:
        if harness.missing_image_url is None:
            pytest.skip("this runtime ignores images")
        workload = harness.workload(Exit(code=0), image_url=harness.missing_image_url)
        with pytest.raises(RuntimeRefused) as refused:
            await runtime.prepare(workload, ignore)
        assert refused.value.reason in (Reason.IMAGE_NOT_FOUND, Reason.IMAGE_PULL_FAILED)
        assert await runtime.inspect(workload.party_run_id) is None
        assert await harness.leftovers(workload.party_run_id) == []

    # --- launch

    async def test_launch_says_when_the_workload_started(
        self, harness: Harness, runtime: Runtime
    ) -> None:
        workload = harness.workload(RunUntilStopped())
        seen = await started(runtime, workload)
        assert (seen.party_run_id, seen.phase) == (workload.party_run_id, Phase.RUNNING)
        assert seen.started_at is not None
        assert seen.started_at.utcoffset() == timedelta(0)
        assert abs(datetime.now(UTC) - seen.started_at) < timedelta(seconds=DEADLINE_S)
        assert seen.finished_at is None

    async def test_a_second_launch_adopts_the_first(
        self, harness: Harness, runtime: Runtime
    ) -> None:
        workload = harness.workload(RunUntilStopped())
        first = await started(runtime, workload)
        second = await runtime.launch(workload)
        assert (second.phase, second.started_at) == (Phase.RUNNING, first.started_at)
        await until(lambda: harness.starts(workload.party_run_id))
        assert harness.starts(workload.party_run_id) == 1

    async def test_launches_at_the_same_time_start_one_workload(
        self, harness: Harness, runtime: Runtime
    ) -> None:
        workload = harness.workload(Exit(code=0))
        await runtime.prepare(workload, ignore)
        await asyncio.gather(*(runtime.launch(workload) for _ in range(3)))
        await exited(runtime, workload.party_run_id)
        assert harness.starts(workload.party_run_id) == 1

    async def test_a_launch_after_the_end_adopts_the_ended_workload(
        self, harness: Harness, runtime: Runtime
    ) -> None:
        workload = harness.workload(Exit(code=5))
        await started(runtime, workload)
        await exited(runtime, workload.party_run_id)
        seen = await runtime.launch(workload)
        assert (seen.phase, seen.exit_code) == (Phase.EXITED, 5)
        assert harness.starts(workload.party_run_id) == 1

    async def test_prepare_after_the_end_does_not_run_it_again(
        self, harness: Harness, runtime: Runtime
    ) -> None:
        workload = harness.workload(Exit(code=5))
        await started(runtime, workload)
        await exited(runtime, workload.party_run_id)
        await runtime.prepare(workload, ignore)
        assert (await runtime.launch(workload)).exit_code == 5
        assert harness.starts(workload.party_run_id) == 1

    async def test_launch_of_what_was_never_prepared_starts_nothing(
        self, harness: Harness, runtime: Runtime
    ) -> None:
        workload = harness.workload(Exit(code=0))
        with pytest.raises(RuntimeRefused):
            await runtime.launch(workload)
        assert harness.starts(workload.party_run_id) == 0

    async def test_a_command_that_does_not_exist_is_refused_as_often_as_it_is_launched(
        self, harness: Harness, runtime: Runtime
    ) -> None:
        workload = harness.workload(Missing())
        with pytest.raises(RuntimeRefused) as refused:
            await started(runtime, workload)
        assert (refused.value.reason, refused.value.exit_code) == (Reason.COMMAND_NOT_FOUND, 127)
        # Nothing is there where `prepare` knew it already.
        if await runtime.inspect(workload.party_run_id) is not None:
            # Whoever is killed before it has noted the refusal must hear the same again.
            with pytest.raises(RuntimeRefused) as again:
                await runtime.launch(workload)
            assert (again.value.reason, again.value.exit_code) == (Reason.COMMAND_NOT_FOUND, 127)
        await runtime.remove(workload.party_run_id)
        assert await runtime.inspect(workload.party_run_id) is None
        assert await harness.leftovers(workload.party_run_id) == []

    async def test_environment_workdir_and_output_reach_the_workload(
        self, harness: Harness, runtime: Runtime
    ) -> None:
        env = {"FEDFLOW_RANK": "2", "GREETING": "grüß 'dich' $HOME"}
        workload = harness.workload(Dump(), env=env)
        await started(runtime, workload)
        assert (await exited(runtime, workload.party_run_id)).exit_code == 0
        output = harness.output(workload.party_run_id)
        lines = (output / "env").read_text().splitlines()
        assert "FEDFLOW_RANK=2" in lines
        assert "GREETING=grüß 'dich' $HOME" in lines
        assert (output / "pwd").read_text().strip() == harness.workdir

    # --- ends

    async def test_the_exit_code_is_true(self, harness: Harness, runtime: Runtime) -> None:
        workloads = {code: harness.workload(Exit(code=code)) for code in (0, 7, 255)}
        for workload in workloads.values():
            await started(runtime, workload)
        for code, workload in workloads.items():
            assert (await exited(runtime, workload.party_run_id)).exit_code == code

    async def test_a_death_by_signal_is_128_plus_its_number(
        self, harness: Harness, runtime: Runtime
    ) -> None:
        workload = harness.workload(Die(signum=signal.SIGKILL))
        await started(runtime, workload)
        assert (await exited(runtime, workload.party_run_id)).exit_code == 137

    async def test_start_and_finish_times_are_utc_and_in_order(
        self, harness: Harness, runtime: Runtime
    ) -> None:
        workload = harness.workload(Exit(code=0))
        await started(runtime, workload)
        seen = await exited(runtime, workload.party_run_id)
        assert seen.started_at is not None
        assert seen.finished_at is not None
        assert seen.started_at.utcoffset() == seen.finished_at.utcoffset() == timedelta(0)
        assert seen.started_at <= seen.finished_at

    async def test_exits_names_each_workload_that_ended_in_order(
        self, harness: Harness, runtime: Runtime
    ) -> None:
        first = harness.workload(Exit(code=0, when_released=True))
        second = harness.workload(Exit(code=1, when_released=True))
        for workload in (second, first):
            await started(runtime, workload)
        harness.release(first.party_run_id)
        await exited(runtime, first.party_run_id)
        harness.release(second.party_run_id)
        order = await all_exit(runtime, second.party_run_id, first.party_run_id)
        assert order == [first.party_run_id, second.party_run_id]

    async def test_exits_ends_when_the_runtime_is_closed(
        self, harness: Harness, runtime: Runtime
    ) -> None:
        async def collect() -> list[str]:
            return [party_run_id async for party_run_id in runtime.exits()]

        async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
            consumer = group.create_task(collect())
            await asyncio.sleep(0)
            await runtime.aclose()
        assert consumer.result() == []

    # --- the agent restarts

    async def test_a_workload_outlives_the_agent_and_is_adopted(
        self, harness: Harness, runtime: Runtime
    ) -> None:
        workload = harness.workload(Exit(code=9, when_released=True))
        before = await started(runtime, workload)
        await runtime.aclose()
        again = harness.new_runtime()
        await again.open()
        try:
            (found,) = await again.list()
            assert (found.phase, found.started_at) == (Phase.RUNNING, before.started_at)
            assert (await again.launch(workload)).phase is Phase.RUNNING
            harness.release(workload.party_run_id)
            await all_exit(again, workload.party_run_id)
            seen = await again.inspect(workload.party_run_id)
            assert seen is not None
            assert (seen.phase, seen.exit_code) == (Phase.EXITED, 9)
            assert harness.starts(workload.party_run_id) == 1
        finally:
            await again.aclose()

    async def test_an_end_while_no_agent_ran_is_found_with_its_true_code_and_time(
        self, harness: Harness, runtime: Runtime
    ) -> None:
        workload = harness.workload(Exit(code=9, when_released=True))
        await started(runtime, workload)
        await runtime.aclose()
        harness.release(workload.party_run_id)
        await until(lambda: harness.ended(workload.party_run_id))
        ended_by = datetime.now(UTC)
        again = harness.new_runtime()
        await again.open()
        try:
            (found,) = await again.list()
            assert (found.phase, found.exit_code) == (Phase.EXITED, 9)
            assert found == await again.inspect(workload.party_run_id)
            assert found.started_at is not None
            assert found.finished_at is not None
            assert found.started_at <= found.finished_at <= ended_by
        finally:
            await again.aclose()

    # --- stop

    async def test_stop_asks_and_returns_when_the_workload_has_ended(
        self, harness: Harness, runtime: Runtime
    ) -> None:
        workload = harness.workload(RunUntilStopped())
        await started(runtime, workload)
        await until(lambda: harness.starts(workload.party_run_id))
        await runtime.stop(workload.party_run_id, grace_s=DEADLINE_S)
        seen = await runtime.inspect(workload.party_run_id)
        assert seen is not None
        assert (seen.phase, seen.exit_code) == (Phase.EXITED, 143)
        await all_exit(runtime, workload.party_run_id)

    async def test_stop_kills_what_does_not_end_in_its_grace(
        self, harness: Harness, runtime: Runtime
    ) -> None:
        workload = harness.workload(RunUntilStopped(ignores_term=True))
        await started(runtime, workload)
        await until(lambda: harness.starts(workload.party_run_id))
        await runtime.stop(workload.party_run_id, grace_s=1)
        seen = await runtime.inspect(workload.party_run_id)
        assert seen is not None
        assert (seen.phase, seen.exit_code) == (Phase.EXITED, 137)

    async def test_stop_works_twice_and_on_nothing(
        self, harness: Harness, runtime: Runtime
    ) -> None:
        workload = harness.workload(RunUntilStopped())
        await runtime.stop(workload.party_run_id, grace_s=1)
        await started(runtime, workload)
        await until(lambda: harness.starts(workload.party_run_id))
        await runtime.stop(workload.party_run_id, grace_s=DEADLINE_S)
        first = await runtime.inspect(workload.party_run_id)
        await runtime.stop(workload.party_run_id, grace_s=DEADLINE_S)
        assert await runtime.inspect(workload.party_run_id) == first

    async def test_stops_at_the_same_time_both_return(
        self, harness: Harness, runtime: Runtime
    ) -> None:
        workload = harness.workload(RunUntilStopped())
        await started(runtime, workload)
        await asyncio.gather(*(runtime.stop(workload.party_run_id, 1) for _ in range(2)))
        seen = await runtime.inspect(workload.party_run_id)
        assert seen is not None
        assert seen.phase is Phase.EXITED

    async def test_stop_before_launch_starts_nothing_and_it_can_be_removed(
        self, harness: Harness, runtime: Runtime
    ) -> None:
        workload = harness.workload(RunUntilStopped())
        await runtime.prepare(workload, ignore)
        await runtime.stop(workload.party_run_id, grace_s=1)
        await runtime.remove(workload.party_run_id)
        assert await runtime.inspect(workload.party_run_id) is None
        assert harness.starts(workload.party_run_id) == 0
        assert await harness.leftovers(workload.party_run_id) == []

    # --- remove

    async def test_remove_leaves_nothing_and_works_twice(
        self, harness: Harness, runtime: Runtime
    ) -> None:
        workload = harness.workload(Exit(code=0))
        await started(runtime, workload)
        await exited(runtime, workload.party_run_id)
        await runtime.remove(workload.party_run_id)
        await runtime.remove(workload.party_run_id)
        assert await runtime.inspect(workload.party_run_id) is None
        assert await runtime.list() == []
        assert await harness.leftovers(workload.party_run_id) == []
        assert harness.output(workload.party_run_id).is_dir()

    async def test_remove_ends_what_still_runs(self, harness: Harness, runtime: Runtime) -> None:
        workload = harness.workload(RunUntilStopped(ignores_term=True))
        await started(runtime, workload)
        await runtime.remove(workload.party_run_id)
        assert await runtime.inspect(workload.party_run_id) is None
        assert await harness.leftovers(workload.party_run_id) == []

    # --- cancellation and closing

    @pytest.mark.parametrize("after_turns", [1, 2, 5, 20])
    async def test_every_verb_may_be_cancelled_and_repeated(
        self, harness: Harness, runtime: Runtime, after_turns: int
    ) -> None:
        workload = harness.workload(RunUntilStopped())
        party_run_id = workload.party_run_id
        await cancelled(runtime.prepare(workload, ignore), after_turns=after_turns)
        await runtime.prepare(workload, ignore)
        await cancelled(runtime.launch(workload), after_turns=after_turns)
        assert (await runtime.launch(workload)).phase is Phase.RUNNING
        await until(lambda: harness.starts(party_run_id))
        await cancelled(runtime.stop(party_run_id, DEADLINE_S), after_turns=after_turns)
        await runtime.stop(party_run_id, DEADLINE_S)
        seen = await runtime.inspect(party_run_id)
        assert seen is not None
        assert (seen.phase, seen.exit_code) == (Phase.EXITED, 143)
        assert harness.starts(party_run_id) == 1
        await cancelled(runtime.remove(party_run_id), after_turns=after_turns)
        await runtime.remove(party_run_id)
        assert await harness.leftovers(party_run_id) == []

    async def test_a_stop_after_a_cancelled_launch_leaves_nothing_running(
        self, harness: Harness, runtime: Runtime
    ) -> None:
        workload = harness.workload(RunUntilStopped())
        await runtime.prepare(workload, ignore)
        await cancelled(runtime.launch(workload), after_turns=2)
        await runtime.stop(workload.party_run_id, 0)
        seen = await runtime.inspect(workload.party_run_id)
        assert seen is None or seen.phase is not Phase.RUNNING
        await runtime.remove(workload.party_run_id)
        assert await harness.leftovers(workload.party_run_id) == []

    async def test_the_runtime_may_be_closed_twice_and_before_it_was_opened(
        self, harness: Harness, runtime: Runtime
    ) -> None:
        await runtime.aclose()
        await runtime.aclose()
        await harness.new_runtime().aclose()
