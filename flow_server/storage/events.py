"""Reading events in their order, and deleting the oldest.

Order is (transaction, event), and only what lies below the oldest transaction that may still
write is read: who commits late is never jumped over. A transaction that stays open anywhere in
the database's cluster holds reading up; nothing gets lost or comes twice by that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import bindparam, text
from sqlalchemy.types import Interval

from flow_contract.events import Event, EventFilter, EventKind, Side
from flow_server.domain.events import FeedEvent, Position, token_of
from flow_server.storage.database import Connection
from flow_server.storage.statements import Statement


@dataclass(frozen=True, kw_only=True)
class Page:
    """Events that follow one another, and where the next page begins.

    `is_last`: that was all there is to be told now. `held_back`: there are events that wait for
    an open transaction. `deleted` is the newest event that was deleted, `oldest_open` the oldest
    transaction that may still write, `next_transaction_id` one that no transaction had yet.
    """

    events: tuple[FeedEvent, ...]
    position: Position
    is_last: bool
    held_back: bool
    deleted: Position
    feed_id: int
    oldest_open: int
    next_transaction_id: int


_PAGE = """
    WITH now_is AS MATERIALIZED (
      SELECT feed.*, pg_snapshot_xmin(shot) AS xmin, pg_snapshot_xmax(shot) AS xmax,
             coalesce((SELECT transaction_id FROM feed_events
                       ORDER BY transaction_id DESC, event_id DESC LIMIT 1)
                      >= pg_snapshot_xmin(shot), false) AS held_back
      FROM event_feed AS feed, pg_current_snapshot() AS shot
    ), page AS MATERIALIZED (
      SELECT * FROM feed_events
      WHERE (transaction_id, event_id)
            > (CAST(CAST(:transaction_id AS text) AS xid8), :event_id)
        AND transaction_id < (SELECT xmin FROM now_is) {narrowed}
      ORDER BY transaction_id, event_id
      LIMIT :most
    )
    SELECT now_is.feed_id, now_is.deleted_transaction_id, now_is.deleted_event_id,
           now_is.xmin, now_is.xmax, now_is.held_back,
           page.event_id, page.transaction_id, page.side, page.from_value, page.to_value,
           page.reason, page.at, page.run_id, page.party_run_id,
           page.task_id, page.federated_id, page.owner
    FROM now_is LEFT JOIN page ON true
    ORDER BY page.transaction_id, page.event_id
"""
# What leaves little of much; the rest of a filter is the domain's.
_NARROWED = {
    "run_id": "AND run_id = :run_id",
    "task_ids": "AND task_id = ANY(CAST(:task_ids AS text[]))",
}

_BEFORE_RUN = Statement(
    """
    SELECT transaction_id, event_id FROM feed_events WHERE run_id = :run_id
    ORDER BY transaction_id, event_id LIMIT 1
    """
)

_DELETE_OLDER = text(
    """
    WITH oldest AS (
      SELECT transaction_id, event_id, at FROM feed_events
      WHERE transaction_id < pg_snapshot_xmin(pg_current_snapshot())
        -- What webhooks have not seen yet stays.
        AND (transaction_id, event_id)
            <= (SELECT webhook_transaction_id, webhook_event_id FROM event_feed)
      ORDER BY transaction_id, event_id LIMIT :limit
    ), young AS (
      SELECT transaction_id, event_id FROM oldest WHERE at >= now() - :age
      ORDER BY transaction_id, event_id LIMIT 1
    ), gone AS (
      DELETE FROM feed_events USING oldest
      WHERE feed_events.event_id = oldest.event_id
        AND (NOT EXISTS (SELECT FROM young)
             OR (oldest.transaction_id, oldest.event_id)
                < (SELECT transaction_id, event_id FROM young))
      RETURNING feed_events.transaction_id, feed_events.event_id
    ), newest AS (
      SELECT transaction_id, event_id FROM gone
      ORDER BY transaction_id DESC, event_id DESC LIMIT 1
    ), told AS (
      UPDATE event_feed
      SET deleted_transaction_id = newest.transaction_id, deleted_event_id = newest.event_id
      FROM newest
    )
    SELECT count(*) FROM gone
    """
).bindparams(bindparam("age", type_=Interval))

# A database that was dumped and loaded elsewhere: its transactions are numbered anew, lower.
_ADOPT = text(
    """
    WITH other AS (
      SELECT webhook_transaction_id, webhook_event_id FROM event_feed
      WHERE webhook_transaction_id > pg_snapshot_xmax(pg_current_snapshot())
         OR EXISTS (SELECT FROM feed_events
                    WHERE transaction_id >= pg_snapshot_xmax(pg_current_snapshot()))
      FOR UPDATE
    ), anew AS (
      UPDATE feed_events SET transaction_id = pg_current_xact_id() FROM other
    ), hooks AS (
      UPDATE webhooks SET transaction_id = pg_current_xact_id() FROM other
    )
    UPDATE event_feed
    SET feed_id = floor(random() * 4294967295)::bigint,
        deleted_transaction_id = '0', deleted_event_id = 0,
        webhook_transaction_id = pg_current_xact_id(),
        webhook_event_id = (
          SELECT coalesce(max(event_id), 0) FROM feed_events
          WHERE (transaction_id, event_id)
                <= (other.webhook_transaction_id, other.webhook_event_id))
    FROM other
    """
)


async def page_after(
    connection: Connection, position: Position, *, most: int, wanted: EventFilter | None = None
) -> Page:
    """Return up to `most` events after `position`, in one statement: they fit together.

    Of what is not `wanted` some may be among them.
    """
    narrow: dict[str, Any] = {}
    if wanted is not None and wanted.run_id:
        narrow["run_id"] = wanted.run_id
    if wanted is not None and wanted.task_ids:
        narrow["task_ids"] = sorted(wanted.task_ids)
    rows = await _page_statement(tuple(narrow)).rows(
        connection,
        transaction_id=str(position.transaction_id),
        event_id=position.event_id,
        most=most,
        **narrow,
    )
    first = rows[0]
    events = tuple(_event(row) for row in rows if row["event_id"] is not None)
    is_last = len(events) < most
    end = Position(transaction_id=first["xmin"]) if is_last else events[-1].position
    return Page(
        events=events,
        position=max(end, position),
        is_last=is_last,
        held_back=first["held_back"],
        deleted=Position(
            transaction_id=first["deleted_transaction_id"], event_id=first["deleted_event_id"]
        ),
        feed_id=first["feed_id"],
        oldest_open=first["xmin"],
        next_transaction_id=first["xmax"],
    )


async def before_run(connection: Connection, run_id: str) -> Position | None:
    """Return the place just before the run's first event that is kept, None if there is none."""
    rows = await _BEFORE_RUN.rows(connection, run_id=run_id)
    if not rows:
        return None
    return Position(
        transaction_id=rows[0]["transaction_id"], event_id=max(0, rows[0]["event_id"] - 1)
    )


async def delete_older(connection: Connection, *, age: timedelta, limit: int) -> int:
    """Delete up to `limit` of the first events that are older than `age`; return how many.

    None that comes after a younger one, so that what is kept has no holes.
    """
    values = {"age": age, "limit": limit}
    count: int = (await connection.execute(_DELETE_OLDER, values)).scalar_one()
    return count


async def adopt(connection: Connection) -> bool:
    """Number the events anew if they are of another cluster; say whether they were.

    Their order is then that of their ids, and no token from before is good any more.
    """
    return bool((await connection.execute(_ADOPT)).rowcount)


@cache
def _page_statement(narrowed: tuple[str, ...]) -> Statement:
    return Statement(_PAGE.replace("{narrowed}", " ".join(_NARROWED[name] for name in narrowed)))


def _event(row: Mapping[str, Any]) -> FeedEvent:
    return FeedEvent(
        position=Position(transaction_id=row["transaction_id"], event_id=row["event_id"]),
        owner=row["owner"],
        event=Event(
            token=token_of(
                row["feed_id"],
                Position(transaction_id=row["transaction_id"], event_id=row["event_id"]),
            ),
            event_id=row["event_id"],
            kind=_kind(row),
            side=row["side"],
            from_value=row["from_value"] or "",
            to_value=row["to_value"],
            reason=row["reason"],
            at=row["at"],
            task_id=row["task_id"] or "",
            run_id=row["run_id"] or "",
            party_run_id=row["party_run_id"] or "",
            federated_id=row["federated_id"] or "",
        ),
    )


def _kind(row: Mapping[str, Any]) -> EventKind:
    if row["party_run_id"] is not None:
        return EventKind.PARTY_RUN
    if row["run_id"] is not None:
        return EventKind.RUN
    return EventKind.TASK if row["side"] == Side.EXISTENCE else EventKind.PARTY
