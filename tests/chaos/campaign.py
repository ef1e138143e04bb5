"""Many seeds over few scenes: each kind of place keeps its processes from seed to seed.

Whatever goes wrong with one schedule, in what is tested or in the driver itself, is told with
its seed, ends that scene, and the campaign goes on with a fresh one.
"""

import asyncio
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from tests.chaos.drawing import Seed, draw, kind_of
from tests.chaos.place import Kind
from tests.chaos.schedule import Schedule

_UNWIND_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`before` are the seeds that were played over the same processes.

    `findings` is what is tested, `driver_error` what broke in the test itself; `notes` say what
    could not be done as drawn.
    """

    schedule: Schedule
    before: tuple[Seed, ...]
    findings: tuple[str, ...]
    driver_error: str
    notes: tuple[str, ...]
    wall_s: float
    folder: str

    @property
    def is_fine(self) -> bool:
        return not self.findings and not self.driver_error


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """How long things may take before the schedule counts as failed: it hangs.

    `schedule_s` is more than all that a schedule waits for with a bound of its own.
    """

    open_s: float = 300.0
    schedule_s: float = 420.0
    evidence_s: float = 20.0
    close_s: float = 300.0


class Scene(Protocol):
    """What schedules are played over; used as `async with`."""

    folder: str
    notes: list[str]

    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *_: object) -> None: ...
    async def play(self, schedule: Schedule) -> list[str]: ...
    async def probe(self) -> list[str]: ...
    async def evidence(self) -> list[str]: ...
    def discard(self) -> None: ...


Tell = Callable[[Verdict], Any]
OpenScene = Callable[[Kind], Scene]


async def campaign(
    seeds: Iterable[Seed],
    tell: Tell,
    *,
    open_scene: OpenScene,
    at_once: int = 2,
    bounds: Bounds | None = None,
) -> list[Verdict]:
    """Play all seeds, at most `at_once` scenes at a time; return the verdicts that say no."""
    by_kind: dict[Kind, list[Seed]] = defaultdict(list)
    for seed in seeds:
        by_kind[kind_of(seed)].append(seed)
    # The containers' place first: it takes longest.
    queues = sorted(by_kind.items(), key=lambda item: item[0].runtime)
    slots = asyncio.Semaphore(at_once)

    async def play(kind: Kind, mine: list[Seed]) -> list[Verdict]:
        failed: list[Verdict] = []
        async with slots:
            while mine:
                run = _Run(open_scene, kind, mine, tell, bounds or Bounds())
                failed += await run.until_failure()
        return failed

    played = await asyncio.gather(*(play(kind, mine) for kind, mine in queues))
    return [verdict for failed in played for verdict in failed]


class _Run:
    """Plays from the head of `seeds` over one scene; a failure ends the scene with it."""

    def __init__(
        self, open_scene: OpenScene, kind: Kind, seeds: list[Seed], tell: Tell, bounds: Bounds
    ) -> None:
        self._open_scene = open_scene
        self._kind = kind
        self._seeds = seeds
        self._tell = tell
        self._bounds = bounds
        self._before: list[Seed] = []
        self._began_s = 0.0

    async def until_failure(self) -> list[Verdict]:
        """Return the verdicts that say no: none, or that of the schedule that ended it."""
        self._began_s = time.monotonic()
        scene = self._open_scene(self._kind)
        failed: list[Verdict] = []
        closing_error = ""
        try:
            if error := await _broken(scene.__aenter__(), self._bounds.open_s):
                failed = [self._said(scene, self._seeds.pop(0), [], error)]
            while self._seeds and not failed:
                failed = await self._next(scene, self._seeds.pop(0))
        finally:
            closing_error = await _broken(scene.__aexit__(None, None, None), self._bounds.close_s)
        if closing_error and not failed:
            failed = [self._said(scene, self._before.pop(), [], f"at the end: {closing_error}")]
        if not failed:
            scene.discard()
        return failed

    async def _next(self, scene: Scene, seed: Seed) -> list[Verdict]:
        self._began_s = time.monotonic()
        findings: list[str] = []

        async def play() -> None:
            findings.extend(await scene.play(draw(seed)))
            if not self._seeds and not findings:
                findings.extend(await scene.probe())

        async def hung() -> None:
            findings.append(f"hung: not over after {self._bounds.schedule_s:.0f} s")
            findings.extend(_stacks())
            with suppress(TimeoutError):
                async with asyncio.timeout(self._bounds.evidence_s):
                    findings.extend(await scene.evidence())

        error = await _broken(play(), self._bounds.schedule_s, if_late=hung)
        verdict = self._said(scene, seed, findings, error)
        self._before.append(seed)
        return [] if verdict.is_fine else [verdict]

    def _said(
        self, scene: Scene | None, seed: Seed, findings: list[str], driver_error: str
    ) -> Verdict:
        verdict = Verdict(
            schedule=draw(seed),
            before=tuple(self._before),
            findings=tuple(findings),
            driver_error=driver_error,
            notes=tuple(scene.notes) if scene else (),
            wall_s=time.monotonic() - self._began_s,
            folder=scene.folder if scene else "",
        )
        if scene:
            scene.notes.clear()
        self._tell(verdict)
        return verdict


async def _broken(
    work: Coroutine[Any, Any, Scene | None],
    bound_s: float,
    *,
    if_late: Callable[[], Coroutine[Any, Any, None]] | None = None,
) -> str:
    """Return how `work` broke, "" if it didn't; after `bound_s` it is cancelled.

    That counts as broken too, unless `if_late` sees to it.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=bound_s)
        if done:
            return _story(task)
        if if_late is None:
            return "\n".join([f"not over after {bound_s:.0f} s", *_stacks()])
        return await _broken(if_late(), bound_s)
    finally:
        if not task.done():
            task.cancel()
            # What does not even hear that is left alone: the others must go on.
            await asyncio.wait({task}, timeout=_UNWIND_S)


def _story(task: asyncio.Task[Any]) -> str:
    if task.cancelled():
        return "the driver cancelled it itself"
    error = task.exception()
    return "".join(traceback.format_exception(error)) if error else ""


def _stacks() -> list[str]:
    """Return where everything in this loop waits, outermost call first."""
    return [f"waits: {' > '.join(_calls(task.get_coro()))}" for task in asyncio.all_tasks()]


def _calls(awaited: Any) -> Iterator[str]:
    while (frame := getattr(awaited, "cr_frame", None)) is not None:
        yield f"{frame.f_code.co_name} ({Path(frame.f_code.co_filename).name}:{frame.f_lineno})"
        awaited = awaited.cr_await
