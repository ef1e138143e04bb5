"""A transaction that stays open holds the feed up, and the server says so once."""

import asyncio
import contextlib

import pytest
from sqlalchemy import insert
from structlog.testing import capture_logs

from flow_server.domain.events import Position
from flow_server.services.event_feed import EventFeed, Subscription
from flow_server.storage.database import Database
from flow_server.storage.event_tables import feed_events

_EVENT = {"federated_id": "north", "side": "work", "to_value": "draining"}
WARNING_S = 30


class Clock:
    """Stands still until it is told the time, and can wait until it was asked for it again."""

    def __init__(self):
        self.now_s, self._asked = 0.0, 0
        self._changed = asyncio.Condition()
        self._tasks = set()

    def __call__(self):
        self._asked += 1
        telling = asyncio.ensure_future(self._tell())
        self._tasks.add(telling)
        telling.add_done_callback(self._tasks.discard)
        return self.now_s

    async def _tell(self):
        async with self._changed:
            self._changed.notify_all()

    async def asked_again(self, times=1):
        until = self._asked + times
        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(lambda: self._asked >= until)


@pytest.fixture
async def feed(engine):
    clock = Clock()
    feed = EventFeed(Database(engine), clock_s=clock, held_back_warning_s=WARNING_S)
    running = asyncio.create_task(feed.run())
    yield feed, clock
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_what_is_held_back_for_long_is_said_once_and_told_when_it_is_over(engine, feed):
    reader, clock = feed
    waiting = Subscription(position=Position(), wants=lambda _: True, news=asyncio.Event(), most=10)
    with capture_logs() as logs:

        def warnings():
            return [line for line in logs if line["event"] == "events_held_back"]

        async with engine.connect() as early:
            await early.execute(insert(feed_events).values(_EVENT))
            async with engine.begin() as late:
                await late.execute(insert(feed_events).values(_EVENT))
            assert reader.subscribe(waiting)
            await clock.asked_again()
            clock.now_s = WARNING_S
            await clock.asked_again()
            assert warnings() == []
            clock.now_s = WARNING_S + 1
            await clock.asked_again()
            assert [line["for_s"] for line in warnings()] == [WARNING_S + 1]
            await clock.asked_again(2)
            assert not waiting.news.is_set()
            await early.commit()
        async with asyncio.timeout(60):
            await waiting.news.wait()
    assert [found.event.event_id for found in waiting.take()] == [1, 2]
    assert len(warnings()) == 1
