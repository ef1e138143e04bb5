"""Many seeds over few places: each kind of place keeps its processes from seed to seed."""

import asyncio
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tests.chaos.driver import Player
from tests.chaos.leftovers import remove_all
from tests.chaos.place import Kind, Place
from tests.chaos.schedule import Schedule, draw, kind_of
from tests.chaos.steps import DiskLog, EngineLog
from tests.engine import connect_or_skip
from tests.images import ensure_busybox_image


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`before` are the seeds that were played over the same processes."""

    schedule: Schedule
    before: tuple[int, ...]
    findings: tuple[str, ...]
    wall_s: float
    folder: str


Tell = Callable[[Verdict], Any]


async def campaign(seeds: Iterable[int], tell: Tell, *, at_once: int = 2) -> list[Verdict]:
    """Play all seeds, at most `at_once` places at a time; return the verdicts that say no."""
    by_kind: dict[Kind, list[int]] = defaultdict(list)
    for seed in seeds:
        by_kind[kind_of(seed)].append(seed)
    # The containers' place first: it takes longest.
    queues = sorted(by_kind.items(), key=lambda item: item[0].runtime)
    slots = asyncio.Semaphore(at_once)

    async def play(kind: Kind, mine: list[int]) -> list[Verdict]:
        failed = []
        async with slots:
            while mine:
                failed += await _until_failure(kind, mine, tell)
        return failed

    played = await asyncio.gather(*(play(kind, mine) for kind, mine in queues))
    return [verdict for failed in played for verdict in failed]


async def _until_failure(kind: Kind, seeds: list[int], tell: Tell) -> list[Verdict]:
    """Play from the head of `seeds` over one place; a failure ends the place with it."""
    place = Place(kind)
    try:
        failed = await _play(place, seeds, tell)
    finally:
        await asyncio.to_thread(remove_all, place)
    if not failed:
        place.discard()
    return failed


async def _play(place: Place, seeds: list[int], tell: Tell) -> list[Verdict]:
    before: list[int] = []
    kind = place.kind
    if kind.runtime == "docker":
        _ensure_image()
    async with place, (EngineLog if kind.runtime == "docker" else DiskLog)(place) as log:
        player = Player(place, log)
        while seeds:
            schedule = draw(seeds.pop(0))
            began_s = time.monotonic()
            try:
                findings = await player.play(schedule)
                if not seeds and not findings:
                    findings = await player.probe()
            except Exception:  # noqa: BLE001  a schedule that can't be played must not end the others
                findings = [traceback.format_exc()]
            verdict = Verdict(
                schedule=schedule,
                before=tuple(before),
                findings=tuple(findings),
                wall_s=time.monotonic() - began_s,
                folder=str(place.folder),
            )
            tell(verdict)
            before.append(schedule.seed)
            if findings:
                return [verdict]
    return []


def _ensure_image() -> None:
    client = connect_or_skip()
    ensure_busybox_image(client)
    client.close()
