"""Plays one schedule over one place, and asks the oracle."""

import asyncio
import uuid
from typing import Any

from flow_contract.errors import FlowError
from tests.chaos.faults import Faults
from tests.chaos.oracle import Oracle
from tests.chaos.parties import REFUSED, insist
from tests.chaos.place import PARTIES, Place
from tests.chaos.schedule import Schedule, Step, probe
from tests.chaos.steps import DiskLog, EngineLog, Progress
from tests.chaos.toll import Toll
from tests.chaos.workload import open_gates, template

# Generous: a machine of two cores may be busy with everything else.
FINAL_S = 60.0
_AGAIN_S = 0.1
_NOT_ACTIVE = 10303
_NOT_FOUND = 10400


class Stuck(Exception):
    """Something that must come about in the end did not; the text says what."""


class Player:
    """Plays schedules one after the other over the same processes."""

    def __init__(self, place: Place, log: EngineLog | DiskLog) -> None:
        self._place = place
        self._log = log
        self._faults = Faults(place)
        self._oracle = Oracle(place, log)

    async def play(self, schedule: Schedule) -> list[str]:
        """Return what the oracle found wrong, nothing where all is well."""
        for site in self._place.sites:
            await site.be_ready(drains=site.number in schedule.drains("agent"))
        for daemon in self._place.servers:
            await daemon.ready()
        tasks = await insist(lambda: self._make_tasks(schedule))
        progress = self._log.progress = Progress()
        shown: dict[str, dict[str, Any]] = {}
        toll = Toll()
        try:
            shown = await self._run(schedule, tasks, progress, toll)
        except* (Stuck, FlowError, TimeoutError) as problems:
            # What is stuck is shown with what the oracle sees of it.
            toll.findings += [repr(problem) for problem in _leaves(problems)]
        finally:
            self._log.progress = None
        return toll.findings + await self._oracle.judge(schedule, tasks, shown, toll)

    async def probe(self) -> list[str]:
        """Run once over everything, with every GPU there is: nothing may be left held."""
        last = probe(self._place.kind)
        return [f"the last probe: {finding}" for finding in await self.play(last)]

    async def _make_tasks(self, schedule: Schedule) -> list[str]:
        sdk = self._place.sdk
        name = f"seed {schedule.seed} {uuid.uuid4().hex[:8]}"
        made = _must(await sdk.template.create(name=name, **template(schedule)))
        data = [{"federated_id": PARTIES[site], "federated_data": "d"} for site in schedule.sites]
        tasks = []
        for number in range(1 + schedule.rivals):
            answer = await sdk.task.create(
                name=f"{name} {number}",
                template_id=made["template_id"],
                remark="",
                federate_data=data,
            )
            tasks.append(_must(answer)["task_id"])
        return tasks

    async def _run(
        self, schedule: Schedule, tasks: list[str], progress: Progress, toll: Toll
    ) -> dict[str, dict[str, Any]]:
        async with asyncio.TaskGroup() as group:
            faults = [
                (fault, group.create_task(self._faults.bring(fault, progress, toll)))
                for fault in schedule.faults
            ]
            starting = group.create_task(self._start(schedule, tasks))
            progress.see(Step.STARTING, schedule.sites)
            early = [task for fault, task in faults if fault.step <= Step.RUNNING]
            ending = group.create_task(self._end(schedule, tasks[0], progress, starting, early))
            await starting
            waits = {
                task_id: group.create_task(
                    self._wait(task_id, progress if task_id == tasks[0] else None)
                )
                for task_id in tasks
            }
            async with asyncio.timeout(FINAL_S * 2):
                await waits[tasks[0]]
                progress.end()
                await ending
            async with asyncio.timeout(FINAL_S):
                for _, fault in faults:
                    await fault
                return {task_id: await wait for task_id, wait in waits.items()}

    async def _start(self, schedule: Schedule, tasks: list[str]) -> None:
        fine = (REFUSED,) if schedule.drains("agent") | schedule.drains("party") else ()
        for number, task_id in enumerate(tasks):
            if number:
                open_gates(self._place, task_id)
            await self._insist(self._place.sdk.task.start, task_id, fine=fine)

    async def _end(
        self,
        schedule: Schedule,
        task_id: str,
        progress: Progress,
        starting: asyncio.Task[None],
        early: list[asyncio.Task[bool]],
    ) -> None:
        if schedule.stop_at is not None:
            await starting
            await progress.reached(schedule.stop_at, schedule.sites)
            progress.see(Step.ENDING, schedule.sites)
            await self._insist(self._place.sdk.task.stop, task_id, fine=(_NOT_ACTIVE,))
            return
        reached = await progress.reached(Step.RUNNING, schedule.sites)
        if reached and schedule.calm:
            await asyncio.gather(*early)
            await self._seen_running(task_id)
        progress.see(Step.ENDING, schedule.sites)
        if not (reached and schedule.overrun):
            open_gates(self._place, task_id)

    async def _seen_running(self, task_id: str) -> None:
        """A run whose parts are all repaired and that can't end yet must show as running."""
        data: dict[str, Any] = {}
        try:
            async with asyncio.timeout(FINAL_S):
                while data.get("status") not in ("Running", "Succeeded", "Failed", "Cancelled"):
                    await asyncio.sleep(_AGAIN_S)
                    answer = await insist(lambda: self._place.sdk.task.get(task_id))
                    data = answer["data"] or {}
        except TimeoutError:
            states = [(item["federated_id"], item["state"]) for item in data["party_status"]]
            raise Stuck(f"running everywhere, and shown as {data['status']}: {states}") from None

    async def _wait(self, task_id: str, progress: Progress | None) -> dict[str, Any]:
        async def wait() -> dict[str, Any]:
            return await self._place.sdk.task.wait(
                task_id, on_change=progress.see_task if progress else None
            )

        try:
            async with asyncio.timeout(FINAL_S):
                answer = await insist(wait)
                while answer["ret_code"] == _NOT_FOUND:
                    # A wait that was cut off, and whose run retention took meanwhile: whoever
                    # asks anew is told of the newest run, which always stays.
                    answer = await insist(wait)
                return _must(answer)
        except TimeoutError:
            raise Stuck(f"task {task_id} has no final status after {FINAL_S:.0f} s") from None

    async def _insist(self, call: Any, task_id: str, *, fine: tuple[int, ...] = ()) -> None:
        request_id = uuid.uuid4().hex
        answer = await insist(lambda: call(task_id, request_id=request_id))
        if answer["ret_code"] not in (0, *fine):
            raise Stuck(f"{call.__name__} was answered {answer}")


def _must(answer: dict[str, Any]) -> dict[str, Any]:
    if answer["ret_code"] != 0:
        raise Stuck(f"answered {answer}")
    return answer["data"]


def _leaves(group: BaseExceptionGroup[Exception]) -> list[BaseException]:
    found: list[BaseException] = []
    for each in group.exceptions:
        found += _leaves(each) if isinstance(each, BaseExceptionGroup) else [each]
    return found
