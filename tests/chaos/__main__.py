"""`python -m tests.chaos [--seeds 123,456] [--first 1] [--count 300]`: what `make chaos` runs."""

# ruff: noqa: T201  it prints what it finds

import argparse
import asyncio
import signal
import sys
import time

import pytest

from tests.chaos.campaign import Verdict, campaign
from tests.chaos.drawing import kind_of
from tests.chaos.scene import PlaceScene
from tests.chaos.schedule import Seed
from tests.engine import connect_or_skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.chaos")
    parser.add_argument("--seeds", default="", help="these alone, comma separated: 123,1:456")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--at-once", type=int, default=2, help="places at the same time")
    given = parser.parse_args()
    seeds = [Seed.parse(seed) for seed in given.seeds.split(",") if seed.strip()]
    seeds = seeds or [Seed(number) for number in range(given.first, given.first + given.count)]
    began_s = time.monotonic()
    failed = asyncio.run(_play(seeds, given.at_once))
    wall_s = time.monotonic() - began_s
    broken = sum(bool(verdict.driver_error) for verdict in failed)
    print(
        f"{len(seeds)} schedules, {len(failed) - broken} failed,"
        f" {broken} broke the driver, {wall_s:.0f} s"
    )
    if failed:
        again = ",".join(str(verdict.schedule.seed) for verdict in failed)
        print(f"again: make chaos SEEDS={again}")
    return 1 if failed else 0


async def _play(seeds: list[Seed], at_once: int) -> list[Verdict]:
    # However it is asked to end, what runs at the places must end with it.
    playing = asyncio.current_task()
    assert playing is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, playing.cancel)
    return await campaign(_playable(seeds), _tell, open_scene=PlaceScene, at_once=at_once)


def _playable(seeds: list[Seed]) -> list[Seed]:
    try:
        connect_or_skip().close()
    except pytest.skip.Exception as skipped:
        print(f"only processes, no containers: {skipped}")
        return [seed for seed in seeds if kind_of(seed).runtime == "process"]
    return seeds


def _tell(verdict: Verdict) -> None:
    schedule = verdict.schedule
    word = "DRIVER ERROR" if verdict.driver_error else "FAILED" if verdict.findings else "ok"
    kind = f"{schedule.kind.runtime}/{schedule.kind.replicas}"
    print(f"seed {schedule.seed} {kind} {word} {verdict.wall_s:.1f} s", flush=True)
    for note in dict.fromkeys(verdict.notes):
        print(f"  {note}", flush=True)
    if verdict.is_fine:
        return
    print(describe(verdict), flush=True)


def describe(verdict: Verdict) -> str:
    """Return the whole story of a failure: what was broken, and by which faults."""
    schedule = verdict.schedule
    lines = [f"  ! {finding}" for finding in verdict.findings]
    if verdict.driver_error:
        lines.append(f"  the driver itself: {verdict.driver_error}")
    lines += [f"  sites {schedule.sites}, stop at {schedule.stop_at!r}, {schedule.work}"]
    lines += [f"  calm {schedule.calm}, rivals {schedule.rivals}, repeats {schedule.repeats}"]
    lines += [f"  {schedule.limits}, overrun {schedule.overrun}, large {schedule.large!r}"]
    lines += [f"  {fault}" for fault in schedule.faults]
    before = ",".join(str(seed) for seed in verdict.before)
    lines += [f"  on the same processes before: {before}", f"  logs: {verdict.folder}"]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
