"""Where a run is, as seen from outside: the SDK's stream, the engine's events, the site's disk."""

import asyncio
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from tests.chaos.place import PARTIES, Place
from tests.chaos.schedule import Step
from tests.engine import connect_or_skip

_LOOK_EVERY_S = 0.005

_STATES = {
    "preparing": Step.PREPARING,
    "prepared": Step.PREPARED,
    "launching": Step.LAUNCHED,
    "running": Step.RUNNING,
    "succeeded": Step.REPORTED,
    "failed": Step.REPORTED,
    "stopped": Step.REPORTED,
    "refused": Step.REPORTED,
}


class Progress:
    """The farthest step seen at each site. One that was passed unseen counts as reached."""

    def __init__(self) -> None:
        self._reached = dict.fromkeys(range(len(PARTIES)), -1)
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self.over = False

    def see(self, step: Step, sites: Iterable[int]) -> None:
        news = [site for site in sites if self._reached[site] < step]
        for site in news:
            self._reached[site] = step
        if news:
            self._tell()

    def see_task(self, data: dict[str, Any]) -> None:
        """Take over what the SDK's wait says."""
        for party in data["party_status"]:
            site = [PARTIES.index(party["federated_id"])]
            if party["desired"] == "running":
                self.see(Step.ORDERED, site)
            if party["state"] in _STATES:
                self.see(_STATES[party["state"]], site)

    def end(self) -> None:
        """Nothing more will happen: who waits for a step that never came gives up."""
        self.over = True
        self._tell()

    async def reached(self, step: Step, sites: Iterable[int]) -> bool:
        """Return True once all `sites` are there, False if they never will be."""
        wanted = tuple(sites)

        def there() -> bool:
            return all(self._reached[site] >= step for site in wanted)

        async with self._changed:
            await self._changed.wait_for(lambda: self.over or there())
        return there()

    def _tell(self) -> None:
        async def tell() -> None:
            async with self._changed:
                self._changed.notify_all()

        task = asyncio.ensure_future(tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


_ENGINE_STEPS = {"create": Step.CREATED, "start": Step.LAUNCHED, "die": Step.ENDED}


@dataclass(frozen=True, kw_only=True)
class EngineEvent:
    action: str
    agent: str
    party_run_id: str
    exit_code: int | None


class EngineLog:
    """Every event of our workloads' containers, from the engine's own stream."""

    def __init__(self, place: Place) -> None:
        self.events: list[EngineEvent] = []
        self.progress: Progress | None = None
        self._keys = {site.key: number for number, site in enumerate(place.sites)}

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self.client = connect_or_skip()
        self._stream = self.client.events(
            since=int(time.time()), decode=True, filters={"type": "container"}
        )
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stream.close()
        await asyncio.to_thread(self._thread.join, 30)
        self.client.close()

    def of(self, party_run_id: str, action: str) -> list[EngineEvent]:
        return [
            event
            for event in self.events
            if (event.party_run_id, event.action) == (party_run_id, action)
        ]

    def _follow(self) -> None:
        for raw in self._stream:
            found = raw["Actor"]["Attributes"]
            party_run_id = found.get("io.fedflow.party-run")
            if party_run_id is None or found.get("io.fedflow.agent") not in self._keys:
                continue
            event = EngineEvent(
                action=raw["Action"],
                agent=found["io.fedflow.agent"],
                party_run_id=party_run_id,
                exit_code=int(found["exitCode"]) if "exitCode" in found else None,
            )
            self._loop.call_soon_threadsafe(self._take, event)

    def _take(self, event: EngineEvent) -> None:
        self.events.append(event)
        if self.progress is not None and event.action in _ENGINE_STEPS:
            self.progress.see(_ENGINE_STEPS[event.action], [self._keys[event.agent]])


class DiskLog:
    """The claim and exit records of the process runtime, read while they are there."""

    _STEPS = (
        ("spec.json", Step.CREATED),
        ("claim.json", Step.LAUNCHED),
        ("ended.json", Step.ENDED),
    )

    def __init__(self, place: Place) -> None:
        self.progress: Progress | None = None
        self._place = place
        self._done: set[str] = set()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self) -> None:
        # The runtime renames its records into place; no event tells another process of it
        # that the standard library could wait for.
        while True:
            for number, site in enumerate(self._place.sites):
                if self.progress is not None and site.workloads.is_dir():
                    self._look(self.progress, number)
            await asyncio.sleep(_LOOK_EVERY_S)

    def _look(self, progress: Progress, number: int) -> None:
        for folder in self._place.sites[number].workloads.iterdir():
            if folder.name.startswith(".") or folder.name in self._done:
                continue
            for name, step in self._STEPS:
                if (folder / name).exists():
                    progress.see(step, [number])
            if (folder / "ended.json").exists():
                self._done.add(folder.name)
