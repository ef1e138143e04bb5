"""Watching events: from a place in their order on, for as long as somebody listens."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field

from flow_contract.access import Caller, CallerKind
from flow_contract.errors import Conflict, Exhausted, InvalidArgument, Kind
from flow_contract.events import Event, EventRequest, check_event_request
from flow_server.domain.access import RULES, admit
from flow_server.domain.events import FeedEvent, Position, is_wanted, may_see, read_token, token_of
from flow_server.domain.rates import Places
from flow_server.services.event_feed import EventFeed, Subscription
from flow_server.services.watches import Watches
from flow_server.storage import events, runs
from flow_server.storage.database import Database

_PAGE = 500
_METHOD = "EventService/Watch"
HEARTBEAT_S = 30.0
# What may wait for a watcher; who is further back reads from the database.
MOST_WAITING = 1000


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Events that follow one another, perhaps none; `token` goes on after them."""

    events: tuple[Event, ...]
    token: str


@dataclass(frozen=True, kw_only=True)
class WatchLimits:
    """How many may watch at once; None for `per_user` where users are not told apart."""

    at_once: int
    per_user: int | None


@dataclass(kw_only=True)
class _Watch:
    """One watch: who it is by now, and how far it has been told."""

    request: EventRequest
    caller: Caller
    again: Callable[[], Awaitable[Caller]]
    position: Position = field(default_factory=Position)
    feed_id: int = 0

    def wants(self, event: FeedEvent) -> bool:
        """Say whether it is to be told of."""
        return is_wanted(self.request.wanted, event.event) and may_see(
            self.caller, event.event, event.owner
        )

    async def batch(self, found: Sequence[FeedEvent], position: Position) -> Batch:
        """Return what may be told now, and move to `position`. Raises Unauthenticated, Forbidden.

        The caller is asked for anew: it may be less than it was when the events came.
        """
        self.caller = await self.again()
        admit(RULES[_METHOD], self.caller)
        self.position = position
        return Batch(
            events=tuple(each.event for each in found if self.wants(each)), token=self.token
        )

    @property
    def token(self) -> str:
        """The place up to which everything was told."""
        return token_of(self.feed_id, self.position)


class EventWatchService:
    """Tells of events. `watched` wakes who watches when what it may do has changed."""

    def __init__(
        self,
        database: Database,
        feed: EventFeed,
        watched: Watches,
        *,
        limits: WatchLimits,
        heartbeat_s: float = HEARTBEAT_S,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._database = database
        self._feed = feed
        self._watched = watched
        self._heartbeat_s = heartbeat_s
        self._most_waiting = most_waiting
        self._places = Places(limits.at_once)
        self._own_places = None if limits.per_user is None else Places(limits.per_user)

    async def watch(
        self,
        request: EventRequest,
        *,
        caller: Caller,
        again: Callable[[], Awaitable[Caller]],
    ) -> AsyncGenerator[Batch, None]:
        """Yield an empty batch that says where it begins, then what happens, for ever.

        Each event once, in one order. A batch without events comes every `heartbeat_s` or so.
        `again` says who the caller is by now. Nothing piles up here for who reads slowly: it is
        read from the database as it is asked for.

        Raises:
            InvalidArgument: a field lies outside its range, or the token is of another feed.
            NotFound: no such run to begin with.
            Conflict: events after the token were deleted.
            Exhausted: too many watches.
            Unauthenticated, Forbidden: the caller may not watch any more.
            Unavailable: this replica is leaving, or its database can't answer.
        """
        check_event_request(request)
        news = asyncio.Event()
        watch = _Watch(request=request, caller=caller, again=again)
        with self._place(caller), self._watched.watching("", caller, news):
            await self._begin(watch)
            yield await watch.batch([], watch.position)
            while True:
                page = await self._page(watch)
                # In this very moment: what comes from now on must come to it.
                live = self._subscribed(watch, page.position, news) if page.is_last else None
                try:
                    if page.events or live is not None:
                        yield await watch.batch(page.events, page.position)
                    watch.position = page.position
                    while live is not None and not live.overrun:
                        with contextlib.suppress(TimeoutError):
                            async with asyncio.timeout(self._heartbeat_s):
                                await news.wait()
                        news.clear()
                        self._watched.require_open()
                        if not live.overrun:
                            position = live.position
                            yield await watch.batch(live.take(), position)
                finally:
                    if live is not None:
                        self._feed.unsubscribe(live)

    async def _begin(self, watch: _Watch) -> None:
        request = watch.request
        async with self._database.snapshot() as connection:
            now = await events.page_after(connection, Position(transaction_id=2**63), most=1)
            watch.feed_id = now.feed_id
            if request.token:
                watch.position = read_token(now.feed_id, request.token)
                if watch.position.transaction_id > now.next_transaction_id:
                    raise InvalidArgument(
                        "token: it names what has not happened yet; begin anew without one",
                        field="token",
                    )
                _require_kept(watch.position, now.deleted)
            elif request.from_beginning:
                watch.position = now.deleted
            elif request.since_run_id:
                begins = await events.before_run(connection, request.since_run_id)
                if begins is None:
                    raise runs.not_found(request.since_run_id)
                watch.position = begins
            else:
                watch.position = Position(transaction_id=now.oldest_open)

    async def _page(self, watch: _Watch) -> events.Page:
        async with self._database.glance() as connection:
            page = await events.page_after(
                connection, watch.position, most=_PAGE, wanted=watch.request.wanted
            )
        _require_kept(watch.position, page.deleted)
        return page

    def _subscribed(
        self, watch: _Watch, position: Position, news: asyncio.Event
    ) -> Subscription | None:
        subscription = Subscription(
            position=position,
            wants=watch.wants,
            news=news,
            most=self._most_waiting,
        )
        return subscription if self._feed.subscribe(subscription) else None

    @contextlib.contextmanager
    def _place(self, caller: Caller) -> Iterator[None]:
        own = self._own_places if caller.kind is CallerKind.USER else None
        if own is not None and not own.enter(caller.name):
            raise Exhausted(
                "you have too many watches open at this server; end some", kind=Kind.USER
            )
        try:
            if not self._places.enter(""):
                raise Exhausted(
                    "too many watches are open at this server; try again later", kind=Kind.SERVER
                )
            try:
                yield
            finally:
                self._places.leave("")
        finally:
            if own is not None:
                own.leave(caller.name)


def _require_kept(position: Position, deleted: Position) -> None:
    if position < deleted:
        raise Conflict(
            "token: events after it were deleted by age, so some would be missing; begin anew "
            "with from_beginning, or without a token, and read the present state first",
            kind=Kind.REQUEST,
            field="token",
        )
