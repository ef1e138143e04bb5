"""Where a run is, as seen from outside: the SDK's stream, the engine's events, the site's disk."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from docker.errors import DockerException
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from tests.chaos.place import PARTIES, Place
from tests.chaos.schedule import Step

_LOOK_EVERY_S = 0.005
_ENGINE_AGAIN_S = 0.1

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
    """Every event of our workloads' containers, from the engines' own streams.

    An engine that is killed takes its past with it: of the private one's sites the events are
    no evidence, only a hint how far they are.
    """

    def __init__(self, place: Place) -> None:
        self.events: list[EngineEvent] = []
        self.progress: Progress | None = None
        self._keys = {site.key: number for number, site in enumerate(place.sites)}
        self._sites = {site.is_private: site for site in place.sites}
        self._closing = False
        self._streams: dict[bool, Any] = {}

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._threads = [
            threading.Thread(
                target=self._follow_for_ever, kwargs={"is_private": is_private}, daemon=True
            )
            for is_private in self._sites
        ]
        listening = [threading.Event() for _ in self._threads]
        self._listening = dict(zip(self._sites, listening, strict=True))
        for thread in self._threads:
            thread.start()
        for each in listening:
            await asyncio.to_thread(each.wait, 60)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing = True
        for stream in list(self._streams.values()):
            stream.close()
        for thread in self._threads:
            await asyncio.to_thread(thread.join, 30)

    def of(self, party_run_id: str, action: str) -> list[EngineEvent]:
        return [
            event
            for event in self.events
            if (event.party_run_id, event.action) == (party_run_id, action)
        ]

    def _follow_for_ever(self, *, is_private: bool) -> None:
        since = int(time.time())
        while not self._closing:
            with (
                contextlib.suppress(DockerException, OSError, RequestException, HTTPError),
                contextlib.closing(self._sites[is_private].engine_client()) as client,
            ):
                stream = client.events(since=since, decode=True, filters={"type": "container"})
                self._streams[is_private] = stream
                self._listening[is_private].set()
                self._follow(stream)
            # Only the private one ever ends its stream, by ending itself.
            since = int(time.time())
            time.sleep(_ENGINE_AGAIN_S)

    def _follow(self, stream: Iterable[dict[str, Any]]) -> None:
        for raw in stream:
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
