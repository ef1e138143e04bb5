"""Deleting events leaves no hole, and a database that was loaded elsewhere is numbered anew."""

from datetime import timedelta

import pytest
from sqlalchemy import insert, select, update

from flow_server.domain.events import Position
from flow_server.storage import events
from flow_server.storage.database import Database
from flow_server.storage.event_tables import event_feed, feed_events

_EVENT = {"federated_id": "north", "side": "work", "to_value": "draining"}


@pytest.fixture
def database(engine):
    return Database(engine)


async def write(engine, number):
    for _ in range(number):
        async with engine.begin() as connection:
            await connection.execute(insert(feed_events).values(_EVENT))


async def page(database, position=Position(), most=100):  # noqa: B008 - frozen
    async with database.glance() as connection:
        return await events.page_after(connection, position, most=most)


def ids(found):
    return [each.event.event_id for each in found.events]


async def seen_by_webhooks(engine):
    async with engine.begin() as connection:
        await connection.execute(
            update(event_feed).values(webhook_transaction_id=2**40, webhook_event_id=0)
        )


async def test_pages_follow_one_another(engine, database):
    await write(engine, 5)
    first = await page(database, most=2)
    second = await page(database, first.position, most=2)
    third = await page(database, second.position, most=2)
    assert [ids(p) for p in (first, second, third)] == [[1, 2], [3, 4], [5]]
    assert [p.is_last for p in (first, second, third)] == [False, False, True]
    assert (await page(database, third.position)).events == ()


async def test_who_commits_late_is_waited_for(engine, database):
    async with engine.connect() as early:
        await early.execute(insert(feed_events).values(_EVENT))
        await write(engine, 1)
        held = await page(database)
        assert (held.events, held.held_back, held.is_last) == ((), True, True)
        await early.commit()
    after = await page(database, held.position)
    assert ids(after) == [1, 2]
    assert not after.held_back


async def test_only_what_is_old_is_deleted_and_the_place_is_remembered(engine, database):
    await write(engine, 4)
    old = feed_events.c.at - timedelta(days=2)
    async with engine.begin() as connection:
        # The third is young, so the fourth stays, whatever its clock said.
        await connection.execute(
            update(feed_events).where(feed_events.c.event_id.in_([1, 2, 4])).values(at=old)
        )
    day = timedelta(days=1)
    async with database.transaction() as connection:
        # Webhooks have not seen it yet.
        assert await events.delete_older(connection, age=day, limit=10) == 0
    await seen_by_webhooks(engine)
    async with database.transaction() as connection:
        assert await events.delete_older(connection, age=day, limit=1) == 1
        assert await events.delete_older(connection, age=day, limit=10) == 1
        assert await events.delete_older(connection, age=day, limit=10) == 0
    left = await page(database)
    assert ids(left) == [3, 4]
    assert left.deleted.event_id == 2


async def test_a_database_that_was_loaded_elsewhere_goes_on_in_its_old_order(engine, database):
    await write(engine, 3)
    before = await page(database)
    async with database.transaction() as connection:
        assert not await events.adopt(connection)
    async with engine.begin() as connection:
        # As if its transactions had been numbered where many more had been.
        await connection.execute(update(feed_events).values(transaction_id=2**40))
    assert (await page(database)).events == ()
    async with database.transaction() as connection:
        assert await events.adopt(connection)
    await write(engine, 1)
    after = await page(database)
    assert ids(after) == [1, 2, 3, 4]
    assert after.feed_id != before.feed_id
    async with engine.connect() as connection:
        assert len((await connection.execute(select(event_feed))).all()) == 1
