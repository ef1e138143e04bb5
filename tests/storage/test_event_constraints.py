"""What must never happen to events and webhooks is refused by the schema, whoever asks."""

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from flow_server.storage.event_tables import event_feed, feed_events
from flow_server.storage.webhook_tables import webhook_deliveries, webhooks
from tests.storage.test_constraints import _T

_EVENT = {"event_id": 1, "run_id": "run", "task_id": "t", "side": "status", "to_value": "Started"}
_OTHER = _EVENT | {"event_id": 2}
_HOOK = {
    "webhook_id": "hook",
    "owner": "ana",
    "of_all": False,
    "url": "https://example.org/",
    "secret": "s" * 16,
}
_DELIVERY = {"delivery_id": "one", "webhook_id": "hook", "event_id": 1, "body": "{}"}
_AGAIN = _DELIVERY | {"delivery_id": "two", "event_id": 2}


@pytest.mark.parametrize(
    ("never", "rule", "table", "row"),
    [
        ("two events of one id", "pk_feed_events", feed_events, _EVENT),
        ("a side that is none", "ck_feed_events_side", feed_events, _OTHER | {"side": "mood"}),
        (
            "a run's side of no run",
            "ck_feed_events_subject",
            feed_events,
            _OTHER | {"run_id": None},
        ),
        (
            "a party's side of a run",
            "ck_feed_events_subject",
            feed_events,
            _OTHER | {"side": "work"},
        ),
        (
            "an event about nothing",
            "ck_feed_events_about",
            feed_events,
            {"event_id": 2, "side": "work", "to_value": "draining"},
        ),
        ("a second feed", "pk_event_feed", event_feed, {"feed_id": 1}),
        (
            "a feed that is not the one",
            "ck_event_feed_only_row",
            event_feed,
            {"only_row": False, "feed_id": 1},
        ),
        (
            "a feed that no token can name",
            "ck_event_feed_feed_id",
            event_feed,
            {"only_row": False, "feed_id": 2**32},
        ),
        ("two webhooks of one id", "pk_webhooks", webhooks, _HOOK),
        (
            "a secret that can be guessed",
            "ck_webhooks_secret",
            webhooks,
            _HOOK | {"webhook_id": "two", "secret": "s" * 15},
        ),
        ("two deliveries of one id", "pk_webhook_deliveries", webhook_deliveries, _DELIVERY),
        (
            "an event told twice to one webhook",
            "uq_webhook_deliveries_webhook_id_event_id",
            webhook_deliveries,
            _DELIVERY | {"delivery_id": "two"},
        ),
        (
            "a delivery to nobody",
            "fk_webhook_deliveries_webhook_id",
            webhook_deliveries,
            _AGAIN | {"webhook_id": "gone"},
        ),
        (
            "attempts below none",
            "ck_webhook_deliveries_attempts",
            webhook_deliveries,
            _AGAIN | {"attempts": -1},
        ),
        (
            "a delivery that was made and given up",
            "ck_webhook_deliveries_ended",
            webhook_deliveries,
            _AGAIN | {"delivered_at": _T, "given_up_at": _T},
        ),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
async def test_a_row_that_breaks_a_rule_is_refused(engine, never, rule, table, row):
    valid = ((feed_events, _EVENT), (webhooks, _HOOK), (webhook_deliveries, _DELIVERY))
    async with engine.begin() as connection:
        for place, first in valid:
            await connection.execute(insert(place).values(first))
        with pytest.raises(IntegrityError) as caught:
            async with connection.begin_nested():
                await connection.execute(insert(table).values(row))
    said = str(caught.value)
    # Which of two rules speaks first is PostgreSQL's business.
    assert f'constraint "{rule}"' in said or rule == "ck_event_feed_feed_id", never
