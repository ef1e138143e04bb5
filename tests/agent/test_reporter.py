import asyncio
from datetime import UTC, datetime

import pytest

from flow_contract.assignments import Report
from flow_contract.lifecycle import PartyRunState
from party_agent.reporter import MAX_BATCH, Reporter

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def make_report(sequence, party_run_id="run1"):
    return Report(
        party_run_id=party_run_id,
        sequence=sequence,
        state=PartyRunState.RUNNING,
        observed_at=NOW,
    )


@pytest.fixture
def reporter():
    return Reporter()


async def test_only_the_newest_report_of_a_party_run_is_sent(reporter):
    for sequence in (1, 2, 3):
        reporter.offer(make_report(sequence))
    assert await reporter.next_batch() == [make_report(3)]


async def test_party_runs_share_a_batch(reporter):
    reporter.offer(make_report(1, "a"))
    reporter.offer(make_report(1, "b"))
    assert await reporter.next_batch() == [make_report(1, "a"), make_report(1, "b")]


async def test_nothing_is_sent_twice_on_one_connection(reporter):
    reporter.offer(make_report(1))
    await reporter.next_batch()
    waiting = asyncio.create_task(reporter.next_batch())
    await asyncio.sleep(0)
    reporter.offer(make_report(2))
    assert await waiting == [make_report(2)]


async def test_a_new_connection_gets_all_that_was_not_acknowledged(reporter):
    for name in ("a", "b", "c"):
        reporter.offer(make_report(1, name))
    await reporter.next_batch()
    reporter.acknowledge("b", 1)
    reporter.reconnected()
    assert await reporter.next_batch() == [make_report(1, "a"), make_report(1, "c")]


async def test_an_acknowledgement_of_an_older_report_keeps_the_newer(reporter):
    reporter.offer(make_report(1))
    await reporter.next_batch()
    reporter.offer(make_report(2))
    reporter.acknowledge("run1", 1)
    assert await reporter.next_batch() == [make_report(2)]


async def test_an_older_report_never_follows_a_newer_one(reporter):
    reporter.offer(make_report(5))
    reporter.offer(make_report(4))
    assert await reporter.next_batch() == [make_report(5)]


async def test_an_acknowledgement_of_an_unknown_party_run_is_fine(reporter):
    reporter.acknowledge("nobody", 7)
    await reporter.drained()


async def test_it_is_drained_when_everything_is_acknowledged(reporter):
    reporter.offer(make_report(1, "a"))
    reporter.offer(make_report(1, "b"))
    drained = asyncio.create_task(reporter.drained())
    reporter.acknowledge("a", 1)
    await asyncio.sleep(0)
    assert not drained.done()
    reporter.acknowledge("b", 1)
    await drained


async def test_a_large_backlog_is_sent_in_parts(reporter):
    for number in range(MAX_BATCH + 1):
        reporter.offer(make_report(1, f"run{number}"))
    assert len(await reporter.next_batch()) == MAX_BATCH
    assert len(await reporter.next_batch()) == 1


async def test_a_report_acknowledged_before_it_was_sent_again_is_not_sent(reporter):
    reporter.offer(make_report(1))
    await reporter.next_batch()
    reporter.reconnected()
    reporter.acknowledge("run1", 1)
    reporter.offer(make_report(1, "other"))
    assert await reporter.next_batch() == [make_report(1, "other")]
