"""What is cleaned up at a site, when, and above all what is not."""

import asyncio
import os
import sqlite3

import pytest

from flow_contract.lifecycle import PartyRunState
from party_agent.policy.site import Site
from party_agent.retention import CLEAN_EVERY_S
from party_agent.runtime.port import PulledImage, RuntimeUnavailable
from party_agent.workload import make_workload
from party_agent.workload_api.readings import SentBatch, SentPoint
from tests.agent.cleaned import Cleaned
from tests.agent.fakes import EVERYTHING, make_spec, until

S = PartyRunState
HOUR_S = 3600
TRAINER = PulledImage(reference="trainer:1", image_id="sha256:1")


@pytest.fixture
async def site(tmp_path):
    """Make sites with what they keep; each is closed at the end."""
    sites = []

    async def make(**keep):
        sites.append(await Cleaned(tmp_path, **keep).open())
        return sites[-1]

    yield make
    for each in sites:
        await each.close()


class TestUnsent:
    """Logs and metrics that the server has never taken."""

    def changed(self, place, ago_s, *paths):
        at_s = place.clock.now().timestamp() - ago_s
        for path in paths:
            os.utime(path, (at_s, at_s))

    def log_of(self, place, name, ago_s):
        room = place.spools.room_for(name, EVERYTHING)
        room.path.write_bytes(b"kept")
        self.changed(place, ago_s, room.path, room.path.parent)

    async def test_logs_of_runs_that_nobody_wrote_to_for_long_are_given_up(self, site):
        place = await site(unsent_s=HOUR_S)
        place.assign("runs")
        await place.ear.until(S.RUNNING, "runs")
        for name, ago_s in (("old", HOUR_S + 1), ("new", HOUR_S - 60), ("runs", 10**6)):
            self.log_of(place, name, ago_s)
        await place.retention.clean()
        assert place.spools.names() == ["new", "runs"]

    async def test_metrics_of_ended_runs_are_given_up_too(self, site):
        place = await site(unsent_s=HOUR_S)
        await place.api.open(frozenset())
        for name in ("old", "new", "runs"):
            await place.api.serve(make_spec(name), lambda _: None, EVERYTHING)
            point = SentPoint(name="loss", value=1.0, step=None, at_us=None)
            place.api._spools[name].add(SentBatch(points=(point,), batch="", dropped=0), 0)
            if name != "runs":
                await place.api.end(name)
        folder = place.api._spools_root
        self.changed(place, HOUR_S + 1, folder / "old" / "points", folder / "runs" / "points")
        self.changed(place, HOUR_S - 60, folder / "new" / "points")
        await place.retention.clean()
        assert sorted(path.name for path in folder.iterdir()) == ["new", "runs"]
        await place.api.aclose()


class TestOutputs:
    async def test_those_of_runs_that_ended_long_ago_are_removed(self, site):
        place = await site(outputs_s=HOUR_S)
        await place.run("old")
        place.clock.advance(HOUR_S - 10)
        await place.run("new")
        await place.retention.clean()
        assert place.left() == ["new", "old"]
        place.clock.advance(10)
        await place.retention.clean()
        assert place.left() == ["new"]

    async def test_only_so_many_are_kept_the_last_ended_first(self, site):
        place = await site(outputs_runs=2)
        for name in ("c", "b", "a"):
            await place.run(name)
        await place.retention.clean()
        assert place.left() == ["a", "b"]

    async def test_runs_without_an_output_take_no_other_s_place(self, site):
        place = await site(outputs_runs=1)
        await place.run("trained")
        for number in range(3):
            await place.run(f"refused{number}", has_output=False)
        await place.retention.clean()
        assert place.left() == ["trained"]

    async def test_an_output_that_has_not_left_yet_stays(self, site):
        place = await site(outputs_runs=1)
        place.uploads.expect("unsent")
        for name in ("unsent", "sent", "newest"):
            await place.run(name)
        await place.retention.clean()
        assert place.left() == ["newest", "unsent"]
        place.uploads.remove("unsent")
        await place.retention.clean()
        assert place.left() == ["newest"]

    async def test_it_is_remembered_over_a_restart(self, site):
        place = await site(outputs_s=HOUR_S)
        await place.run("old")
        await place.restart()
        place.clock.advance(HOUR_S)
        await place.retention.clean()
        assert place.left() == []
        assert await place.journal.outputs() == []

    async def test_what_runs_keeps_its_output(self, site):
        place = await site(outputs_s=1, outputs_runs=1)
        (place.outputs / "run1").mkdir()
        place.assign("run1")
        await place.ear.until(S.RUNNING)
        place.clock.advance(10**6)
        await place.retention.clean()
        assert place.left() == ["run1"]

    async def test_nothing_of_anybody_else_s_is_touched(self, site, tmp_path):
        place = await site(outputs_s=1, outputs_runs=1)
        await place.run("run1")
        (place.outputs / "backup").mkdir()
        (place.outputs / ("a" * 32)).mkdir()
        (place.outputs / "notes.txt").write_text("ours")
        (tmp_path / "elsewhere").mkdir()
        place.clock.advance(10**6)
        await place.retention.clean()
        assert place.left() == ["a" * 32, "backup", "notes.txt"]
        assert (tmp_path / "elsewhere").exists()

    async def test_a_link_in_place_of_an_output_is_not_followed(self, site, tmp_path):
        place = await site(outputs_s=1)
        (tmp_path / "precious").mkdir()
        (tmp_path / "precious" / "data").write_text("not ours")
        await place.run("run1", has_output=False)
        (place.outputs / "run1").symlink_to(tmp_path / "precious")
        place.clock.advance(10)
        await place.retention.clean()
        assert (tmp_path / "precious" / "data").exists()

    async def test_one_that_can_not_be_removed_does_not_keep_the_others(self, site):
        place = await site(outputs_s=1)
        await place.run("run1", has_output=False)
        (place.outputs / "run1").write_text("no directory")
        await place.run("run2")
        place.clock.advance(10)
        await place.retention.clean()
        assert place.left() == ["run1"]
        assert [name for name, _ in await place.journal.outputs()] == ["run1"]


class TestImages:
    async def test_one_that_this_agent_pulled_goes_when_nothing_used_it_for_so_long(self, site):
        place = await site(images_s=HOUR_S)
        await place.pull(TRAINER)
        place.clock.advance(HOUR_S - 1)
        await place.retention.clean()
        assert place.runtime.images
        place.clock.advance(1)
        await place.retention.clean()
        assert place.runtime.images == {}
        assert await place.journal.images() == []

    async def test_images_stay_for_ever_unless_the_operator_says_otherwise(self, site):
        place = await site()
        await place.pull(TRAINER)
        place.clock.advance(10**9)
        await place.retention.clean()
        assert place.runtime.images

    async def test_a_run_that_ends_is_a_use(self, site):
        place = await site(images_s=HOUR_S)
        await place.pull(TRAINER)
        place.clock.advance(HOUR_S)
        await place.run("run1", image_url="trainer:1")
        await place.retention.clean()
        assert place.runtime.images
        place.clock.advance(HOUR_S)
        await place.retention.clean()
        assert place.runtime.images == {}

    async def test_one_that_a_run_here_needs_stays(self, site):
        place = await site(images_s=1)
        await place.pull(TRAINER)
        place.assign("run1", image_url="trainer:1")
        await place.ear.until(S.RUNNING)
        place.clock.advance(10**6)
        await place.retention.clean()
        assert place.runtime.images

    async def test_one_that_anybody_s_container_uses_stays_until_later(self, site):
        place = await site(images_s=HOUR_S)
        await place.pull(TRAINER)
        place.runtime.in_use.add("trainer:1")
        place.clock.advance(HOUR_S)
        await place.retention.clean()
        place.runtime.in_use.clear()
        await place.retention.clean()
        assert place.runtime.images
        place.clock.advance(HOUR_S)
        await place.retention.clean()
        assert place.runtime.images == {}

    async def test_what_somebody_else_brought_stays(self, site):
        place = await site(images_s=1)
        place.runtime.images["trainer:2"] = "sha256:2"
        await place.run("run1", image_url="trainer:2")
        place.clock.advance(10**6)
        await place.retention.clean()
        assert place.runtime.images == {"trainer:2": "sha256:2"}

    async def test_a_name_that_somebody_gave_to_another_image_stays_and_is_ours_no_more(self, site):
        place = await site(images_s=1)
        await place.pull(TRAINER)
        place.runtime.images["trainer:1"] = "sha256:9"
        place.clock.advance(10**6)
        await place.retention.clean()
        assert place.runtime.images == {"trainer:1": "sha256:9"}
        assert await place.journal.images() == []

    async def test_a_full_disk_only_means_that_an_image_stays(self, site):
        place = await site(images_s=1)

        async def full(image, now):
            raise sqlite3.OperationalError("database or disk is full")

        place.journal.note_pull, noted = full, place.journal.note_pull
        place.runtime.pull(PulledImage(reference="lost:1", image_id="sha256:0"))
        await until(place.runtime.told._queue.empty)
        place.journal.note_pull = noted
        await place.pull(TRAINER)
        assert [image for image, _ in await place.journal.images()] == [TRAINER]


class TestStrays:
    async def leave(self, place, name="stray"):
        await place.memory.prepare(make_workload(make_spec(name), Site(), (), None), print)
        await place.memory.launch(make_workload(make_spec(name), Site(), (), None))

    async def test_what_nobody_knows_is_ended_once_the_server_was_heard(self, site):
        place = await site()
        place.assign("run1", complete=True)
        await place.ear.until(S.RUNNING)
        await self.leave(place)
        await place.retention.clean()
        await until(lambda: set(place.state.workloads) == {"run1"})

    async def test_before_that_it_stays_for_it_may_be_the_server_s(self, site):
        place = await site()
        await self.leave(place)
        await place.retention.clean()
        await asyncio.sleep(0)
        assert set(place.state.workloads) == {"stray"}
        assert place.state.workloads["stray"].seen.phase == "running"


class TestTheRound:
    async def test_it_comes_at_the_start_and_then_once_an_hour(self, site):
        place = await site()
        running = asyncio.create_task(place.retention.run())
        for count in (1, 2, 3):
            await place.clock.until_waiting(CLEAN_EVERY_S)
            assert place.runtime.tidied == count
            place.clock.advance(CLEAN_EVERY_S)
            await until(lambda count=count: place.runtime.tidied == count + 1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    @pytest.mark.parametrize("failure", [RuntimeUnavailable("engine down"), KeyError("a defect")])
    async def test_what_fails_is_left_to_the_next_and_keeps_nothing_else(self, site, failure):
        place = await site(outputs_s=1)
        place.runtime.failure = failure
        await place.run("run1")
        place.assign("run2", complete=True)
        await TestStrays().leave(place)
        place.clock.advance(10)
        await place.retention.clean()
        assert place.left() == []
        await until(lambda: "stray" not in place.state.workloads)
