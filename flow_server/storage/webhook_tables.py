"""The schema of webhooks: whom to tell of a run's end, and each thing that there is to tell."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from flow_server.storage.columns import metadata, set_at_insert, time_column
from flow_server.storage.event_tables import TransactionId

webhooks = Table(
    "webhooks",
    metadata,
    Column("webhook_id", Text, primary_key=True),
    # The user who made it; empty where users were not asked who they are.
    Column("owner", Text, nullable=False),
    # Of everybody's tasks, and not of the owner's only.
    Column("of_all", Boolean, nullable=False),
    # Null: of every task. No foreign key: what ended is told although the task is gone.
    Column("task_id", Text),
    Column("url", Text, nullable=False),
    # As it is: what is sent is signed with it. Nobody is shown it again.
    Column("secret", Text, nullable=False),
    set_at_insert("created_at"),
    # Earlier events are not its business.
    Column(
        "transaction_id",
        TransactionId(),
        nullable=False,
        server_default=text("pg_current_xact_id()"),
    ),
    CheckConstraint("length(secret) >= 16", name="secret"),
    Index("ix_webhooks_owner", "owner", "created_at"),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("delivery_id", Text, primary_key=True),
    Column(
        "webhook_id",
        Text,
        ForeignKey("webhooks.webhook_id", ondelete="CASCADE"),
        nullable=False,
    ),
    # No foreign key: events are deleted by age, whoever has heard of them.
    Column("event_id", BigInteger, nullable=False),
    # What is posted, to the byte.
    Column("body", Text, nullable=False),
    set_at_insert("created_at"),
    # Grows with each claim; what an older claim brings back counts no more.
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    # Not tried before; while somebody tries, nobody else is to before this.
    set_at_insert("next_at"),
    time_column("delivered_at"),
    time_column("given_up_at"),
    # Of the last attempt: the receiver's status, and what went wrong.
    Column("http_status", Integer),
    Column("problem", Text, nullable=False, server_default=text("''")),
    CheckConstraint("attempts >= 0", name="attempts"),
    # It is one of the two, or still to be tried.
    CheckConstraint("delivered_at IS NULL OR given_up_at IS NULL", name="ended"),
    # An event is told once.
    UniqueConstraint("webhook_id", "event_id"),
    # What is to be tried next.
    Index(
        "ix_webhook_deliveries_next_at",
        "next_at",
        postgresql_where=text("delivered_at IS NULL AND given_up_at IS NULL"),
    ),
)
