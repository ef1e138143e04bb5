"""A few schedules of `make chaos`, and every seed that ever found a defect."""

import gc
from pathlib import Path

import pytest

from tests.chaos import teller
from tests.chaos.__main__ import describe
from tests.chaos.campaign import campaign
from tests.chaos.drawing import draw, kind_of
from tests.chaos.scene import PlaceScene
from tests.chaos.schedule import Harm, Seed, Step
from tests.chaos.widening import CELLS

REGRESSIONS = Path(__file__).with_name("regressions.txt")
# Few that hold everything; a test below says so. When the draw changes, choose others.
SEEDS = tuple(Seed(n) for n in (2, 5, 6, 9, 14, 17, 29, 43, 70, 77, 110, 112, 113, 115, 129))

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(900)]


def regressions():
    lines = REGRESSIONS.read_text().splitlines()
    return [Seed.parse(line.split()[0]) for line in lines if line and not line.startswith("#")]


def what(fault):
    return fault.part.partition("-")[0]


def faults_of(seeds):
    return [fault for seed in seeds for fault in draw(seed).faults]


async def play(runtime):
    seeds = [seed for seed in (*SEEDS, *regressions()) if kind_of(seed).runtime == runtime]
    verdicts = []
    failed = await campaign(dict.fromkeys(seeds), verdicts.append, open_scene=PlaceScene)
    # docker-py leaves sockets open where an engine did not answer: let go of them here.
    gc.collect()
    assert not failed, "\n".join(
        f"make chaos SEEDS={verdict.schedule.seed}\n{describe(verdict)}" for verdict in failed
    )
    assert len(verdicts) == len(set(seeds))


async def test_processes_survive_the_first_schedules():
    await play("process")


@pytest.mark.docker
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_containers_survive_the_first_schedules():
    await play("docker")


def test_a_seed_always_means_the_same_schedule():
    seeds = [Seed(number, version) for number in range(50) for version in (1, 2, 3)]
    assert [draw(seed) for seed in seeds] == [draw(seed) for seed in seeds]


@pytest.mark.parametrize("first", [1, 1001])
def test_three_hundred_seeds_strike_every_step_and_every_part(first):
    """Each harm that a part can come to, at each step, over each runtime that has the part."""
    seeds = [Seed(number) for number in range(first, first + 300)]
    struck = {
        (kind_of(seed).runtime, what(fault), fault.harm, fault.step)
        for seed in seeds
        for fault in draw(seed).faults
    }
    wanted = {(runtime, *cell) for runtime, cells in CELLS.items() for cell in cells}
    assert wanted - struck == set()
    faults = faults_of(seeds)
    assert {fault.part for fault in faults} >= {
        *(f"{each}-{n}" for each in ("agent", "link", "party", "workload") for n in range(3)),
        "server-0",
        "server-1",
        "postgres",
        "client",
        "engine",
    }


def test_there_is_a_harm_of_every_kind():
    assert {harm for cells in CELLS.values() for _, harm, _ in cells} == set(Harm)


def test_the_slice_has_every_fault_every_step_and_every_limit():
    harms = {(part, harm) for cells in CELLS.values() for part, harm, _ in cells}
    faults = faults_of(SEEDS)
    assert harms - {(what(fault), fault.harm) for fault in faults} == set()
    assert {fault.step for fault in faults} == set(Step)
    assert {what(fault) for fault in faults if fault.in_commit} >= {"postgres", "server"}
    schedules = [draw(seed) for seed in SEEDS]
    assert any(schedule.overrun for schedule in schedules)
    assert any(schedule.limits.on_nonzero_exit for schedule in schedules)
    assert any(
        schedule.limits.stop_after_s and schedule.faults[0].harm is Harm.RESET
        for schedule in schedules
    )
    assert {schedule.large for schedule in schedules} == {"", teller.LEFT, teller.SENT}
