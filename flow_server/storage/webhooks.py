"""Queries on webhooks and their deliveries: made from events, claimed, ended."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, insert, select, text

from flow_contract.errors import Kind, NotFound
from flow_contract.lifecycle import RunStatus, is_final_status
from flow_contract.webhooks import Delivery, Webhook
from flow_server.storage.database import Connection
from flow_server.storage.statements import Statement
from flow_server.storage.webhook_tables import webhook_deliveries, webhooks

_FINAL = [status.value for status in RunStatus if is_final_status(status)]
_MOST_LISTED = 100

# Who holds the feed's row makes them, one replica at a time; the place moves with the rows.
_MAKE = Statement(
    """
    WITH feed AS (
      SELECT webhook_transaction_id, webhook_event_id FROM event_feed FOR UPDATE SKIP LOCKED
    ), page AS MATERIALIZED (
      SELECT * FROM feed_events
      WHERE (transaction_id, event_id)
            > (SELECT webhook_transaction_id, webhook_event_id FROM feed)
        AND transaction_id < pg_snapshot_xmin(pg_current_snapshot())
      ORDER BY transaction_id, event_id LIMIT :most
    ), made AS (
      INSERT INTO webhook_deliveries (delivery_id, webhook_id, event_id, body)
      SELECT replace(gen_random_uuid()::text, '-', ''), webhooks.webhook_id, page.event_id,
             jsonb_build_object(
               'type', 'run.ended', 'event_id', page.event_id,
               'task_id', page.task_id, 'task_name', tasks.name,
               'run_id', page.run_id, 'run_number', runs.number, 'status', page.to_value,
               'reason', page.reason, 'message', runs.message, 'at', page.at,
               'will_be_retried', runs.retry_at IS NOT NULL)::text
      FROM page
      LEFT JOIN runs ON runs.run_id = page.run_id
      LEFT JOIN tasks ON tasks.task_id = runs.task_id
      JOIN webhooks
        ON webhooks.transaction_id <= page.transaction_id
        AND (webhooks.task_id IS NULL
             OR webhooks.task_id = page.task_id)
        AND (webhooks.of_all OR webhooks.owner = page.owner)
      WHERE page.side = 'status' AND page.to_value = ANY(CAST(:final AS text[]))
        AND NOT EXISTS (SELECT FROM users
                        WHERE users.name = webhooks.owner AND users.disabled_at IS NOT NULL)
      ON CONFLICT DO NOTHING
    ), moved AS (
      UPDATE event_feed
      SET webhook_transaction_id = last.transaction_id, webhook_event_id = last.event_id
      FROM feed, (SELECT transaction_id, event_id FROM page
                  ORDER BY transaction_id DESC, event_id DESC LIMIT 1) AS last
    )
    SELECT count(*) AS seen FROM page
    """
)

_OPEN = "delivered_at IS NULL AND given_up_at IS NULL"
_CLAIM = Statement(
    f"""
    WITH due AS (
      -- One of each webhook: a receiver that hangs holds up nobody but itself.
      SELECT DISTINCT ON (webhook_id) delivery_id FROM webhook_deliveries
      WHERE {_OPEN} AND next_at <= now() AND webhook_id <> ALL(CAST(:busy AS text[]))
      ORDER BY webhook_id, next_at
    ), taken AS (
      SELECT delivery_id FROM webhook_deliveries JOIN due USING (delivery_id)
      WHERE {_OPEN} AND next_at <= now()
      ORDER BY next_at LIMIT :most
      FOR UPDATE OF webhook_deliveries SKIP LOCKED
    )
    UPDATE webhook_deliveries AS mine
    SET attempts = attempts + 1, next_at = now() + make_interval(secs => :lease_s)
    FROM taken, webhooks
    WHERE mine.delivery_id = taken.delivery_id AND webhooks.webhook_id = mine.webhook_id
    RETURNING mine.delivery_id, mine.webhook_id, mine.attempts, mine.body, webhooks.url,
              webhooks.secret, CAST(extract(epoch FROM now() - mine.created_at)
                                    AS double precision) AS age_s
    """  # noqa: S608 - a literal of this file
)
_END = Statement(
    """
    UPDATE webhook_deliveries
    SET http_status = CAST(:http_status AS int), problem = :problem,
        delivered_at = CASE WHEN :is_delivered THEN now() END,
        given_up_at = CASE WHEN NOT :is_delivered AND CAST(:again_s AS double precision) IS NULL
                      THEN now() END,
        next_at = now() + make_interval(secs => coalesce(CAST(:again_s AS double precision), 0))
    WHERE delivery_id = :delivery_id AND attempts = :attempts
      AND delivered_at IS NULL AND given_up_at IS NULL
    RETURNING delivery_id
    """
)
_NEXT = Statement(
    f"""
    SELECT CAST(extract(epoch FROM min(next_at) - now()) AS double precision) AS in_s
    FROM webhook_deliveries
    WHERE {_OPEN} AND webhook_id <> ALL(CAST(:busy AS text[]))
    """  # noqa: S608 - a literal of this file
)
_DELETE_ENDED = text(
    """
    DELETE FROM webhook_deliveries
    WHERE coalesce(delivered_at, given_up_at) < now() - make_interval(days => :days)
    """
)


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """A delivery that is this replica's to try, until its lease is over."""

    delivery_id: str
    webhook_id: str
    attempts: int
    body: str
    url: str
    secret: str
    age_s: float


async def insert_webhook(connection: Connection, webhook: Mapping[str, Any]) -> None:
    """Store a webhook; it hears of what happens from now on."""
    await connection.execute(insert(webhooks).values(**webhook))


async def count_of(connection: Connection, owner: str) -> int:
    """Return how many webhooks the owner has."""
    statement = select(func.count()).where(webhooks.c.owner == owner)
    count: int = (await connection.execute(statement)).scalar_one()
    return count


async def list_webhooks(connection: Connection, owner: str | None) -> list[Webhook]:
    """Return the owner's webhooks, or all for None, oldest first."""
    statement = select(webhooks).order_by(webhooks.c.created_at, webhooks.c.webhook_id)
    if owner is not None:
        statement = statement.where(webhooks.c.owner == owner)
    return [
        Webhook(
            webhook_id=row.webhook_id,
            owner=row.owner,
            of_all=row.of_all,
            task_id=row.task_id or "",
            url=row.url,
            created_at=row.created_at,
        )
        for row in await connection.execute(statement)
    ]


async def owner_of(connection: Connection, webhook_id: str) -> str:
    """Return whose webhook it is.

    Raises:
        NotFound: there is none of this id.
    """
    statement = select(webhooks.c.owner).where(webhooks.c.webhook_id == webhook_id)
    owner: str | None = (await connection.execute(statement)).scalar_one_or_none()
    if owner is None:
        raise NotFound(
            f"webhook not found: {webhook_id[:64]!r}",
            kind=Kind.WEBHOOK,
            subject_id=webhook_id[:64],
            field="webhook_id",
        )
    return owner


async def delete_webhook(connection: Connection, webhook_id: str) -> None:
    """Delete a webhook and its deliveries."""
    await connection.execute(delete(webhooks).where(webhooks.c.webhook_id == webhook_id))


async def list_deliveries(connection: Connection, webhook_id: str) -> list[Delivery]:
    """Return the webhook's newest deliveries, newest first."""
    statement = (
        select(webhook_deliveries)
        .where(webhook_deliveries.c.webhook_id == webhook_id)
        .order_by(webhook_deliveries.c.created_at.desc(), webhook_deliveries.c.event_id.desc())
        .limit(_MOST_LISTED)
    )
    return [
        Delivery(
            delivery_id=row.delivery_id,
            webhook_id=row.webhook_id,
            event_id=row.event_id,
            attempts=row.attempts,
            created_at=row.created_at,
            next_at=None if row.delivered_at or row.given_up_at else row.next_at,
            delivered_at=row.delivered_at,
            given_up_at=row.given_up_at,
            http_status=row.http_status or 0,
            problem=row.problem,
        )
        for row in await connection.execute(statement)
    ]


async def make_deliveries(connection: Connection, *, most: int) -> int:
    """Make what the next `most` events amount to; return how many events that were."""
    rows = await _MAKE.rows(connection, most=most, final=_FINAL)
    seen: int = rows[0]["seen"]
    return seen


async def claim(
    connection: Connection, *, most: int, busy: Collection[str], lease_s: float
) -> list[Claimed]:
    """Take deliveries that are due, one of each webhook that is not `busy`.

    Nobody else gets them before `lease_s` are over.
    """
    rows = await _CLAIM.rows(connection, most=most, busy=list(busy), lease_s=lease_s)
    return [Claimed(**dict(row)) for row in rows]


async def end_attempt(
    connection: Connection,
    claimed: Claimed,
    *,
    http_status: int | None,
    problem: str,
    is_delivered: bool,
    again_s: float | None,
) -> None:
    """Write down how an attempt ended; with neither delivery nor `again_s` it is given up."""
    await _END.rows(
        connection,
        delivery_id=claimed.delivery_id,
        attempts=claimed.attempts,
        http_status=http_status,
        problem=problem,
        is_delivered=is_delivered,
        again_s=again_s,
    )


async def next_in_s(connection: Connection, busy: Collection[str]) -> float | None:
    """Return in how long the next one is due that is not `busy`, None if there is none."""
    rows = await _NEXT.rows(connection, busy=list(busy))
    in_s: float | None = rows[0]["in_s"]
    return in_s


async def delete_ended(connection: Connection, *, days: int) -> int:
    """Forget what ended longer ago; return how many that were."""
    return (await connection.execute(_DELETE_ENDED, {"days": days})).rowcount
