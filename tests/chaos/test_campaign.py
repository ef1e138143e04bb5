"""What the campaign makes of a driver that breaks, hangs or can't begin: it tells, and goes on."""

import asyncio
import os
import signal
import tempfile
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

from tests.chaos.campaign import Bounds, campaign
from tests.chaos.daemon import Daemon
from tests.chaos.database import HOOK, OwnDatabase, commit_held, connect
from tests.chaos.drawing import draw
from tests.chaos.schedule import VERSION, Seed

# Of one kind, and so over one scene as long as nothing goes wrong.
SEEDS = [Seed(number) for number in (6, 12, 18)]
SHORT = Bounds(open_s=0.5, schedule_s=0.5, evidence_s=0.5, close_s=0.5)


class FakeScene:
    """Does to each seed what `acts` says."""

    opened = 0

    def __init__(self, acts):
        self.acts = acts
        self.folder = "nowhere"
        self.notes = []
        self.closed = False

    async def __aenter__(self):
        FakeScene.opened += 1
        await self.act("open")
        return self

    async def __aexit__(self, *_):
        await self.act("close")
        self.closed = True

    async def play(self, schedule):
        return await self.act(schedule.seed.number) or []

    async def probe(self):
        return []

    async def evidence(self):
        return ["postgres: pid 1 is stopped"]

    def discard(self):
        pass

    async def act(self, name):
        act = self.acts.pop(name, None)
        return await act() if act else None


async def breaks():
    raise asyncpg.InternalClientError("cannot switch to state 12")


async def hangs():
    await asyncio.Event().wait()


async def finds():
    return ["something is wrong"]


async def played(acts):
    """Return the verdicts by seed, those that say no, and the scenes."""
    scenes, verdicts = [], []

    def open_scene(_):
        scenes.append(FakeScene(acts))
        return scenes[-1]

    failed = await campaign(SEEDS, verdicts.append, open_scene=open_scene, bounds=SHORT)
    return {verdict.schedule.seed.number: verdict for verdict in verdicts}, failed, scenes


async def test_an_error_of_the_driver_is_told_with_its_seed_and_the_others_are_played():
    told, failed, scenes = await played({12: breaks})
    assert [verdict.schedule.seed.number for verdict in failed] == [12]
    assert "cannot switch to state 12" in told[12].driver_error
    assert not told[12].findings
    assert told[6].is_fine
    assert told[18].is_fine
    assert len(scenes) == 2
    assert all(scene.closed for scene in scenes)


async def test_a_finding_is_no_error_of_the_driver():
    told, failed, _ = await played({12: finds})
    assert len(failed) == 1
    assert told[12].findings == ("something is wrong",)
    assert not told[12].driver_error


async def test_a_schedule_that_hangs_counts_as_failed_with_where_everything_stood():
    told, failed, scenes = await played({12: hangs})
    assert [verdict.schedule.seed.number for verdict in failed] == [12]
    assert told[12].findings[0].startswith("hung: not over after")
    assert "postgres: pid 1 is stopped" in told[12].findings
    assert any("> hangs (" in finding for finding in told[12].findings)
    assert told[18].before == ()
    assert scenes[0].closed


@pytest.mark.parametrize("act", [breaks, hangs])
async def test_a_place_that_can_not_be_opened_costs_one_seed(act):
    told, failed, scenes = await played({"open": act})
    assert [verdict.schedule.seed.number for verdict in failed] == [6]
    assert told[6].driver_error
    assert told[12].is_fine
    assert scenes[0].closed


@pytest.mark.parametrize("act", [breaks, hangs])
async def test_a_place_that_can_not_be_closed_is_told_with_its_last_seed(act):
    _, failed, _ = await played({"close": act})
    assert [verdict.schedule.seed.number for verdict in failed] == [18]
    assert "at the end" in failed[0].driver_error


async def test_a_campaign_that_is_given_up_closes_what_it_opened():
    scene = FakeScene({6: hangs})
    campaigning = asyncio.ensure_future(
        campaign(SEEDS, print, open_scene=lambda _: scene, bounds=Bounds())
    )
    while 6 in scene.acts:  # noqa: ASYNC110  it is an act of this loop's own
        await asyncio.sleep(0)
    campaigning.cancel()
    with suppress(asyncio.CancelledError):
        await campaigning
    assert campaigning.cancelled()
    assert scene.closed


async def test_who_waits_for_a_process_may_give_up_and_it_can_still_be_ended(tmp_path):
    """Once, a fault that was given up took the process's keeper with it."""
    daemon = Daemon("server", ["server", "--port", "0", "--http-port", "0"], {}, tmp_path)
    daemon.more = ("--state-dir", str(tmp_path / "state"))
    await daemon.start()
    waiting = asyncio.ensure_future(daemon.ended())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    assert await daemon.end(signal.SIGKILL)
    assert daemon.pid is None


@pytest.fixture
def open_folder():
    """One that PostgreSQL's own account can reach, which pytest's are not."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path


@pytest.mark.postgres
async def test_a_database_that_dies_under_the_one_who_holds_a_commit_breaks_nothing(open_folder):
    database = OwnDatabase(open_folder / "postgres")
    url = await database.start()
    try:
        connection = await connect(url)
        await connection.execute(HOOK)
        await connection.close()

        async def strike_while_it_waits():
            watching = await connect(url)
            while not await watching.fetchval(  # noqa: ASYNC110  a lock tells nobody
                "SELECT count(*) FROM pg_locks WHERE granted AND locktype = 'advisory'"
            ):
                await asyncio.sleep(0.01)
            watching.terminate()
            os.kill(database.pid, signal.SIGKILL)

        async with asyncio.TaskGroup() as group:
            group.create_task(strike_while_it_waits())
            async with asyncio.timeout(60), commit_held(url):
                pass
        await database.ended()
    finally:
        await database.aclose()


def test_a_seed_says_its_version_and_an_earlier_one_means_what_it_meant():
    assert Seed.parse("817") == Seed(817, VERSION)
    assert Seed.parse("1:817") == Seed(817, 1)
    assert str(Seed(817)) == "817"
    assert str(Seed(817, 1)) == "1:817"
    assert draw(Seed(817, 1)).faults == draw(Seed(817, 1)).faults
    assert draw(Seed(817)).faults[0] not in draw(Seed(817, 1)).faults
