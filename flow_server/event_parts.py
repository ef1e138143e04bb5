"""The parts that tell of events, put together for one replica."""

import time
from dataclasses import dataclass
from datetime import timedelta

from flow_server.grpc_api.events import EventServicer
from flow_server.grpc_api.webhooks import WebhookServicer
from flow_server.services.event_feed import EventFeed
from flow_server.services.event_retention import EventRetentionService
from flow_server.services.event_watches import EventWatchService, WatchLimits
from flow_server.services.watches import Watches
from flow_server.services.webhook_sending import WebhookSender
from flow_server.services.webhooks import WebhookService
from flow_server.settings import ServerSettings
from flow_server.storage.database import Database


@dataclass(frozen=True, kw_only=True)
class EventParts:
    """`feed` is to be woken when anything happened, `watched` when callers have changed."""

    servicer: EventServicer
    webhooks: WebhookServicer
    sender: WebhookSender
    feed: EventFeed
    watched: Watches
    retention: EventRetentionService

    def wake(self) -> None:
        """Say that something happened."""
        self.feed.wake()
        self.sender.wake()


def make_event_parts(database: Database, settings: ServerSettings) -> EventParts:
    """Return them, not yet running."""
    watched = Watches()
    feed = EventFeed(database, clock_s=time.monotonic)
    limits = WatchLimits(
        at_once=settings.event_watches,
        per_user=None if settings.insecure else settings.event_watches_per_user,
    )
    return EventParts(
        servicer=EventServicer(
            EventWatchService(database, feed, watched, limits=limits),
            stall_s=settings.event_stall_s,
        ),
        webhooks=WebhookServicer(WebhookService(database, allowed=settings.webhook_allowed)),
        sender=WebhookSender(
            database, allowed=settings.webhook_allowed, timeout_s=settings.webhook_timeout_s
        ),
        feed=feed,
        watched=watched,
        retention=EventRetentionService(
            database, age=timedelta(days=settings.retention_events_days)
        ),
    )
