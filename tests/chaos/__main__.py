"""`python -m tests.chaos [--seeds 123,456] [--first 1] [--count 300]`: what `make chaos` runs."""

# ruff: noqa: T201  it prints what it finds

import argparse
import asyncio
import sys
import time

from tests.chaos.campaign import Verdict, campaign


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.chaos")
    parser.add_argument("--seeds", default="", help="these alone, comma separated")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--at-once", type=int, default=2, help="places at the same time")
    given = parser.parse_args()
    seeds = [int(seed) for seed in given.seeds.split(",") if seed.strip()]
    seeds = seeds or list(range(given.first, given.first + given.count))
    began_s = time.monotonic()
    failed = asyncio.run(campaign(seeds, _tell, at_once=given.at_once))
    wall_s = time.monotonic() - began_s
    print(f"{len(seeds)} schedules, {len(failed)} failed, {wall_s:.0f} s")
    if failed:
        again = ",".join(str(verdict.schedule.seed) for verdict in failed)
        print(f"again: make chaos SEEDS={again}")
    return 1 if failed else 0


def _tell(verdict: Verdict) -> None:
    schedule = verdict.schedule
    word = "FAILED" if verdict.findings else "ok"
    kind = f"{schedule.kind.runtime}/{schedule.kind.replicas}"
    print(f"seed {schedule.seed} {kind} {word} {verdict.wall_s:.1f} s", flush=True)
    if not verdict.findings:
        return
    print(describe(verdict), flush=True)


def describe(verdict: Verdict) -> str:
    """Return the whole story of a failure: what was broken, and by which faults."""
    schedule = verdict.schedule
    lines = [f"  ! {finding}" for finding in verdict.findings]
    lines += [f"  sites {schedule.sites}, stop at {schedule.stop_at!r}, {schedule.work}"]
    lines += [f"  calm {schedule.calm}, rivals {schedule.rivals}"]
    lines += [f"  {fault}" for fault in schedule.faults]
    lines += [f"  on the same processes before: {verdict.before}", f"  logs: {verdict.folder}"]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
