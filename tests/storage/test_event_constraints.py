"""What must never happen to events and webhooks is refused by the schema, whoever asks."""

import pytest

from flow_server.storage.event_tables import event_feed, feed_events
from flow_server.storage.webhook_tables import webhook_deliveries, webhooks
from tests.storage.never import Never, refuse
from tests.storage.test_constraints import T

ROWS = {
    feed_events: {
        "event_id": 1,
        "run_id": "run",
        "task_id": "t",
        "side": "status",
        "to_value": "Started",
    },
    webhooks: {
        "webhook_id": "hook",
        "owner": "ana",
        "of_all": False,
        "url": "https://example.org/",
        "secret": "s" * 16,
    },
    webhook_deliveries: {
        "delivery_id": "one",
        "webhook_id": "hook",
        "event_id": 1,
        "body": "{}",
    },
}

NEVER = [
    Never(
        sentence="two events of one id",
        rule="pk_feed_events",
        table=feed_events,
        change={},
        adds=True,
    ),
    Never(
        sentence="a side that is none",
        rule="ck_feed_events_side",
        table=feed_events,
        change={"side": "mood"},
    ),
    Never(
        sentence="a run's side of no run",
        rule="ck_feed_events_subject",
        table=feed_events,
        change={"run_id": None},
    ),
    Never(
        sentence="a party's side of a run",
        rule="ck_feed_events_subject",
        table=feed_events,
        change={"side": "work"},
    ),
    Never(
        sentence="an event about nothing",
        rule="ck_feed_events_about",
        table=feed_events,
        change={"side": "work", "run_id": None, "task_id": None},
    ),
    # The feed's one row is there from the start.
    Never(
        sentence="a second feed",
        rule="pk_event_feed",
        table=event_feed,
        change={"feed_id": 1},
        adds=True,
    ),
    Never(
        sentence="a feed that is not the one",
        rule="ck_event_feed_only_row",
        table=event_feed,
        change={"only_row": False},
    ),
    Never(
        sentence="a feed that no token can name",
        rule="ck_event_feed_feed_id",
        table=event_feed,
        change={"feed_id": 2**32},
    ),
    Never(
        sentence="two webhooks of one id",
        rule="pk_webhooks",
        table=webhooks,
        change={},
        adds=True,
    ),
    Never(
        sentence="a secret that can be guessed",
        rule="ck_webhooks_secret",
        table=webhooks,
        change={"secret": "s" * 15},
    ),
    Never(
        sentence="two deliveries of one id",
        rule="pk_webhook_deliveries",
        table=webhook_deliveries,
        change={"event_id": 2},
        adds=True,
    ),
    Never(
        sentence="an event told twice to one webhook",
        rule="uq_webhook_deliveries_webhook_id_event_id",
        table=webhook_deliveries,
        change={"delivery_id": "two"},
        adds=True,
    ),
    Never(
        sentence="a delivery to nobody",
        rule="fk_webhook_deliveries_webhook_id",
        table=webhook_deliveries,
        change={"webhook_id": "gone"},
    ),
    Never(
        sentence="attempts below none",
        rule="ck_webhook_deliveries_attempts",
        table=webhook_deliveries,
        change={"attempts": -1},
    ),
    Never(
        sentence="a delivery that was made and given up",
        rule="ck_webhook_deliveries_ended",
        table=webhook_deliveries,
        change={"delivered_at": T, "given_up_at": T},
    ),
]


@pytest.mark.parametrize("never", NEVER, ids=lambda never: never.sentence)
async def test_never(never, engine):
    await refuse(engine, ROWS, never)
