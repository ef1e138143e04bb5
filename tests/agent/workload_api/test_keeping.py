"""What was answered is kept over kills of the agent, until the server has it."""

import asyncio
import os
from dataclasses import replace

import pytest

from flow_contract.errors import Exhausted, InvalidArgument
from flow_contract.metrics import MAX_BATCH, MAX_NAMES
from party_agent.unit import SelfReport
from party_agent.workload_api.readings import SentBatch, SentPoint
from party_agent.workload_api.spool import Spool


def sent(*values, name="loss", batch="", dropped=0):
    points = tuple(SentPoint(name=name, value=value, step=None, at_us=None) for value in values)
    return SentBatch(points=points, batch=batch, dropped=dropped)


@pytest.fixture
def reopened(tmp_path):
    """Open the spool as an agent does that was killed and started again."""
    opened = []

    def reopened(**limits):
        for spool in opened:
            spool.close()
        opened.append(Spool(tmp_path / "metrics" / "run1", **limits))
        return opened[-1]

    yield reopened
    for spool in opened:
        spool.close()


def drained(spool):
    """Return all values, as a server that acknowledges everything gets them."""
    values = []
    while not spool.is_told:
        batch = spool.next_batch()
        assert batch.first_sequence == len(values) + 1
        values += batch.points.values
        spool.acknowledge(len(values), batch.dropped)
    return values


def test_points_outlive_the_agent(reopened):
    reopened().add(sent(1, 2), 0)
    reopened().add(sent(3), 0)
    spool = reopened()
    assert spool.next_batch().points.steps == (0, 1, 2)
    assert drained(spool) == [1, 2, 3]


def test_a_line_that_a_kill_cut_off_was_never_acknowledged_and_is_gone(reopened, tmp_path):
    reopened().add(sent(1), 0)
    with (tmp_path / "metrics" / "run1" / "points").open("ab") as file:
        file.write(b'["",[["loss",1,0,')
    spool = reopened()
    spool.add(sent(2), 0)
    assert drained(reopened()) == [1, 2]


def test_a_batch_that_comes_again_after_a_kill_is_stored_once(reopened):
    assert reopened().add(sent(1, 2, batch="b-1"), 0) == (2, 0)
    spool = reopened()
    assert spool.add(sent(1, 2, batch="b-1"), 0) == (2, 0)
    assert spool.add(sent(3, batch="b-2"), 0) == (1, 0)
    assert drained(spool) == [1, 2, 3]


def test_batches_larger_than_a_message_are_sent_in_parts(reopened):
    spool = reopened()
    for first in range(0, 24_000, 8_000):
        spool.add(sent(*range(first, first + 8_000)), 0)
    assert len(spool.next_batch().points) == MAX_BATCH
    assert drained(spool) == list(range(24_000))


def test_what_the_server_has_already_is_not_sent_again_after_a_kill(reopened):
    spool = reopened()
    spool.add(sent(*range(12_000)), 0)
    spool = reopened()
    spool.acknowledge(11_000, 0)
    batch = spool.next_batch()
    assert (batch.first_sequence, batch.points.values) == (11_001, tuple(range(11_000, 12_000)))


def test_a_server_that_has_less_than_it_said_gets_the_rest_again(reopened):
    spool = reopened()
    for value in range(5):
        spool.add(sent(value), 0)
    spool.acknowledge(4, 0)
    spool.acknowledge(1, 0)
    assert spool.next_batch().points.values == (1, 2, 3, 4)


def test_points_beyond_the_limit_are_dropped_and_counted_over_kills(reopened):
    spool = reopened(max_points=5)
    assert spool.add(sent(1, 2, 3, 4), 0) == (4, 0)
    assert spool.add(sent(5, 6, 7, dropped=10), 0) == (1, 2)
    assert spool.add(sent(8), 0) == (0, 1)
    spool = reopened(max_points=5)
    assert spool.dropped == 13
    assert drained(spool) == [1, 2, 3, 4, 5]
    assert spool.told_dropped == 13


def test_a_million_points_are_kept_and_the_next_one_is_counted_as_dropped(reopened):
    spool = reopened()
    values = tuple(range(10_000))
    batch = sent(*values)
    for _ in range(100):
        assert spool.add(batch, 0) == (10_000, 0)
    assert spool.add(sent(1, 2), 0) == (0, 2)
    assert (spool.stored, spool.dropped) == (1_000_000, 2)
    assert reopened().stored == 1_000_000


def test_the_file_is_bounded_whatever_is_sent(reopened, tmp_path):
    spool = reopened(max_bytes=10_000)
    for number in range(200):
        spool.add(
            sent(1.123456789, name=f"a long name, number {number % 10}", batch=f"{number}"), 0
        )
    assert (tmp_path / "metrics" / "run1" / "points").stat().st_size < 10_200
    assert spool.dropped == 200 - spool.stored > 0


def test_more_names_than_a_run_may_have_are_refused_with_their_batch(reopened):
    spool = reopened()
    many = [
        replace(point, name=f"n{place}")
        for place, point in enumerate(sent(*range(MAX_NAMES)).points)
    ]
    spool.add(SentBatch(points=tuple(many), batch="", dropped=0), 0)
    with pytest.raises(InvalidArgument) as refused:
        spool.add(sent(1, name="one more"), 0)
    assert refused.value.field == "points[0].name"
    spool.add(sent(1, name="n7"), 0)
    assert spool.stored == MAX_NAMES + 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
def test_a_full_disk_is_told_and_what_was_stored_before_is_still_there(reopened, tmp_path):
    spool = reopened()
    spool.add(sent(1, batch="b-1"), 0)
    kept, spool._file = spool._file, os.open("/dev/full", os.O_RDWR)
    with pytest.raises(Exhausted, match="can't store this now"):
        spool.add(sent(2, batch="b-2"), 0)
    os.close(spool._file)
    spool._file = kept
    assert spool.add(sent(2, batch="b-2"), 0) == (1, 0)
    assert drained(reopened()) == [1, 2]


async def test_the_next_agent_listens_at_the_same_place_and_knows_the_last_words(place):
    await place.serve()
    await place.post("/v1/progress", {"epoch": 3, "total": 9})
    await place.post("/v1/metrics", {"points": [{"name": "a", "value": 1}]})
    before = place.socket_path().parent.stat().st_ino
    await place.restart("run1")
    place.words.clear()
    await place.serve()
    assert place.socket_path().parent.stat().st_ino == before
    assert place.says == SelfReport(current_epoch=3, total_epoch=9)
    assert (await place.host.next_batch()).points.values == (1,)
    await place.post("/v1/progress", {"epoch": 4})
    assert place.says == SelfReport(current_epoch=4, total_epoch=9)


async def test_metrics_of_a_workload_that_ended_are_kept_until_the_server_has_them(place):
    await place.serve()
    await place.post("/v1/metrics", {"points": [{"name": "a", "value": 1}]})
    await place.host.end("run1")
    # The agent forgot the party run, and was killed.
    await place.restart()
    batch = await place.host.next_batch()
    assert batch.points.values == (1,)
    await place.host.acknowledge(batch, 1)
    waiting = asyncio.create_task(place.host.next_batch())
    while list((place.path / "metrics").iterdir()):  # noqa: ASYNC110  files give no event
        await asyncio.sleep(0.01)
    waiting.cancel()


async def test_directories_of_party_runs_that_nobody_holds_are_removed_at_the_start(place):
    await place.serve("run1")
    await place.serve("run2")
    await place.restart("run2")
    assert [path.name for path in (place.path / "api").iterdir()] == ["run2"]
