"""One reader of events for all who watch at this replica: read once, handed out from memory.

Nobody is read for while nobody watches. Who is further back than what is kept in memory reads
from the database itself, page by page, until it has caught up.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from flow_server.domain.events import FeedEvent, Position
from flow_server.storage import events
from flow_server.storage.database import Database

log = structlog.get_logger()

_PAGE = 500
# How often held-back events are looked for: nobody tells when the open transaction ends.
_FIRST_PAUSE_S = 0.01
_LONGEST_PAUSE_S = 1.0
HELD_BACK_WARNING_S = 30.0


@dataclass(eq=False, kw_only=True)
class Subscription:
    """What waits for one watcher, `most` events at most: one more, and it is `overrun`.

    Then nothing waits for it any more, and it reads on from the database.

    `position` is how far the feed has come, wanted or not. `news` is set when there is anything
    to take, or the end.
    """

    position: Position
    wants: Callable[[FeedEvent], bool]
    news: asyncio.Event
    most: int
    overrun: bool = False
    _waiting: list[FeedEvent] = field(default_factory=list)

    def offer(self, new: Sequence[FeedEvent], position: Position) -> None:
        """Take what comes after `self.position` and is wanted."""
        wanted = [each for each in new if each.position > self.position and self.wants(each)]
        self.position = max(self.position, position)
        if self.overrun or not wanted:
            return
        if len(self._waiting) + len(wanted) > self.most:
            self.overrun = True
            self._waiting.clear()
        else:
            self._waiting += wanted
        self.news.set()

    def take(self) -> list[FeedEvent]:
        """Return what waits, and forget it."""
        taken, self._waiting = self._waiting, []
        return taken


class EventFeed:
    """Reads what is new when it is woken, and hands it to all subscriptions.

    Invariant: `_recent` holds all events in (`_recent_after`, `_position`].
    """

    def __init__(
        self,
        database: Database,
        *,
        clock_s: Callable[[], float],
        kept: int = 2 * _PAGE,
        held_back_warning_s: float = HELD_BACK_WARNING_S,
    ) -> None:
        self._database = database
        self._clock_s = clock_s
        self._kept = kept
        self._held_back_warning_s = held_back_warning_s
        self._woken = asyncio.Event()
        self._subscriptions: set[Subscription] = set()
        self._position = Position()
        self._recent: deque[FeedEvent] = deque()
        self._recent_after = Position()

    def wake(self) -> None:
        """Say that there may be something new."""
        self._woken.set()

    def subscribe(self, subscription: Subscription) -> bool:
        """Hand out to it from its position on; False if that is further back than what is kept."""
        if not self._subscriptions:
            # Nothing was read meanwhile.
            self._position = self._recent_after = subscription.position
            self._recent.clear()
        if subscription.position < self._recent_after:
            return False
        subscription.offer(self._recent, self._position)
        self._subscriptions.add(subscription)
        # What came between its last look and this moment woke nobody.
        self.wake()
        return True

    def unsubscribe(self, subscription: Subscription) -> None:
        """Hand out nothing more to it; twice is once."""
        self._subscriptions.discard(subscription)

    async def run(self) -> None:
        """Read and hand out until cancelled."""
        async with self._database.transaction() as connection:
            if await events.adopt(connection):
                log.warning("events_numbered_anew")
        self.wake()
        while True:
            await self._woken.wait()
            self._woken.clear()
            if self._subscriptions:
                await self._hand_out()

    async def _hand_out(self) -> None:
        pause_s = _FIRST_PAUSE_S
        held_since_s: float | None = None
        warned = False
        while self._subscriptions:
            begins = self._position
            async with self._database.glance() as connection:
                page = await events.page_after(connection, begins, most=_PAGE)
            if self._position != begins:
                # Everybody left meanwhile, and somebody else came who begins elsewhere.
                continue
            self._take(page)
            if not page.is_last:
                continue
            if not page.held_back:
                return
            now_s = self._clock_s()
            if page.events or held_since_s is None:
                held_since_s, pause_s, warned = now_s, _FIRST_PAUSE_S, False
            held_s = now_s - held_since_s
            if held_s > self._held_back_warning_s and not warned:
                warned = True
                log.warning(
                    "events_held_back",
                    for_s=round(held_s),
                    by="a transaction that stays open in the database's cluster",
                )
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _take(self, page: events.Page) -> None:
        self._recent.extend(page.events)
        self._position = page.position
        while len(self._recent) > self._kept:
            self._recent_after = self._recent.popleft().position
        for subscription in list(self._subscriptions):
            subscription.offer(page.events, page.position)
