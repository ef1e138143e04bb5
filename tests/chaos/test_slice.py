"""A few schedules of `make chaos`, and every seed that ever found a defect."""

from pathlib import Path

import pytest

from tests.chaos.__main__ import describe
from tests.chaos.campaign import campaign
from tests.chaos.schedule import Step, draw, kind_of

REGRESSIONS = Path(__file__).with_name("regressions.txt")
# Two rounds of the kinds of places, containers and all.
SEEDS = tuple(range(1, 13))

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(900)]


def regressions():
    lines = REGRESSIONS.read_text().splitlines()
    return [int(line.split()[0]) for line in lines if line and not line.startswith("#")]


async def play(runtime):
    seeds = [seed for seed in (*SEEDS, *regressions()) if kind_of(seed).runtime == runtime]
    verdicts = []
    failed = await campaign(dict.fromkeys(seeds), verdicts.append)
    assert not failed, "\n".join(
        f"make chaos SEEDS={verdict.schedule.seed}\n{describe(verdict)}" for verdict in failed
    )
    assert len(verdicts) == len(set(seeds))


async def test_processes_survive_the_first_schedules():
    await play("process")


@pytest.mark.docker
async def test_containers_survive_the_first_schedules():
    await play("docker")


def test_a_seed_always_means_the_same_schedule():
    assert [draw(seed) for seed in range(50)] == [draw(seed) for seed in range(50)]


def test_three_hundred_seeds_strike_every_step_and_every_part():
    faults = [fault for seed in range(1, 301) for fault in draw(seed).faults]
    assert {fault.step for fault in faults} == set(Step)
    assert {fault.part for fault in faults} == {
        *(f"{what}-{number}" for what in ("agent", "link") for number in range(3)),
        "server-0",
        "server-1",
        "postgres",
        "client",
    }
    assert any(fault.in_commit and fault.part == "postgres" for fault in faults)
    assert any(fault.in_commit and fault.part.startswith("server") for fault in faults)
