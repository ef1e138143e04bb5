"""Events in the order of their transactions, also of tasks and parties; webhooks."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import UserDefinedType

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


class _TransactionId(UserDefinedType[int]):
    def get_col_spec(self, **_: object) -> str:
        return "xid8"


_TELL = """
CREATE FUNCTION tell_events() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
  INSERT INTO feed_events (run_id, party_run_id, task_id, federated_id, owner, side, from_value,
                           to_value, reason, at)
  SELECT made.run_id, made.party_run_id, runs.task_id, party_runs.federated_id, tasks.owner,
         made.side, made.from_value, made.to_value, made.reason, made.at
  FROM made
  JOIN runs ON runs.run_id = made.run_id
  JOIN tasks ON tasks.task_id = runs.task_id
  LEFT JOIN party_runs ON party_runs.party_run_id = made.party_run_id
  ORDER BY made.event_id;
  RETURN NULL;
END $$;
"""
_TELL_TRIGGER = """
CREATE TRIGGER tell_events AFTER INSERT ON events
REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION tell_events();
"""
_TASK_GONE = """
CREATE FUNCTION note_deleted_task() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
  INSERT INTO feed_events (task_id, owner, side, from_value, to_value)
  VALUES (OLD.task_id, OLD.owner, 'existence', 'created', 'deleted');
  PERFORM pg_notify('fedflow_events', '');
  RETURN NULL;
END $$;
"""
_TASK_GONE_TRIGGER = """
CREATE TRIGGER note_deleted_task AFTER DELETE ON tasks
FOR EACH ROW EXECUTE FUNCTION note_deleted_task();
"""
_NEW_TASK = """
CREATE FUNCTION note_new_task() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
  INSERT INTO feed_events (task_id, owner, side, to_value)
  VALUES (NEW.task_id, NEW.owner, 'existence', 'created');
  PERFORM pg_notify('fedflow_events', '');
  RETURN NULL;
END $$;
"""
_NEW_TASK_TRIGGER = """
CREATE TRIGGER note_new_task AFTER INSERT ON tasks
FOR EACH ROW EXECUTE FUNCTION note_new_task();
"""
_PARTY = """
CREATE FUNCTION note_party() RETURNS trigger LANGUAGE plpgsql AS
$$ DECLARE
  was text := CASE WHEN TG_OP = 'UPDATE' THEN
    CASE WHEN OLD.owner_id IS NULL THEN 'disconnected' ELSE 'connected' END END;
  becomes text := CASE WHEN NEW.owner_id IS NULL THEN 'disconnected' ELSE 'connected' END;
  worked text := CASE WHEN TG_OP = 'UPDATE' AND (OLD.draining OR OLD.agent_draining)
    THEN 'draining' ELSE 'accepting' END;
  works text := CASE WHEN NEW.draining OR NEW.agent_draining
    THEN 'draining' ELSE 'accepting' END;
BEGIN
  IF was IS DISTINCT FROM becomes THEN
    INSERT INTO feed_events (federated_id, side, from_value, to_value)
    VALUES (NEW.federated_id, 'connection', was, becomes);
    PERFORM pg_notify('fedflow_events', '');
  END IF;
  IF worked <> works THEN
    INSERT INTO feed_events (federated_id, side, from_value, to_value)
    VALUES (NEW.federated_id, 'work', worked, works);
    PERFORM pg_notify('fedflow_events', '');
  END IF;
  RETURN NULL;
END $$;
"""
# Not at each renewal of a lease: that writes none of these columns.
_PARTY_TRIGGER = """
CREATE TRIGGER note_party AFTER INSERT OR UPDATE OF owner_id, draining, agent_draining ON parties
FOR EACH ROW EXECUTE FUNCTION note_party();
"""
_REVOKED = """
CREATE FUNCTION note_revoked_parties() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
  INSERT INTO feed_events (federated_id, side, to_value)
  SELECT DISTINCT now_so.federated_id, 'identity', 'revoked'
  FROM now_so JOIN before USING (serial)
  WHERE now_so.revoked_at IS NOT NULL AND before.revoked_at IS NULL;
  IF FOUND THEN PERFORM pg_notify('fedflow_events', ''); END IF;
  RETURN NULL;
END $$;
"""
_REVOKED_TRIGGER = """
CREATE TRIGGER note_revoked_parties AFTER UPDATE ON certificates
REFERENCING OLD TABLE AS before NEW TABLE AS now_so
FOR EACH STATEMENT EXECUTE FUNCTION note_revoked_parties();
"""
_RUN_SIDES = "'state', 'status', 'desired', 'retry'"
_SIDES = f"{_RUN_SIDES}, 'existence', 'connection', 'work', 'identity'"
_NOW = sa.text("pg_current_xact_id()")


def upgrade() -> None:
    op.create_table(
        "feed_events",
        sa.Column("event_id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("transaction_id", _TransactionId(), server_default=_NOW, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("party_run_id", sa.Text(), nullable=True),
        sa.Column("task_id", sa.Text(), nullable=True),
        sa.Column("federated_id", sa.Text(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("from_value", sa.Text(), nullable=True),
        sa.Column("to_value", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default=sa.text("'none'"), nullable=False),
        sa.Column(
            "at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint(f"side IN ({_SIDES})", name=op.f("ck_feed_events_side")),
        sa.CheckConstraint(
            f"(side IN ({_RUN_SIDES})) = (run_id IS NOT NULL)", name=op.f("ck_feed_events_subject")
        ),
        sa.CheckConstraint(
            "num_nulls(run_id, task_id, federated_id) < 3", name=op.f("ck_feed_events_about")
        ),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_feed_events")),
    )
    op.create_index("ix_feed_events_run_id", "feed_events", ["run_id", "event_id"])
    op.create_index("ix_feed_events_transaction_id", "feed_events", ["transaction_id", "event_id"])
    op.create_table(
        "event_feed",
        sa.Column("only_row", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("feed_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "deleted_transaction_id",
            _TransactionId(),
            server_default=sa.text("'0'"),
            nullable=False,
        ),
        sa.Column("deleted_event_id", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "webhook_transaction_id",
            _TransactionId(),
            server_default=sa.text("'0'"),
            nullable=False,
        ),
        sa.Column("webhook_event_id", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("only_row", name=op.f("ck_event_feed_only_row")),
        sa.CheckConstraint("feed_id BETWEEN 0 AND 4294967295", name=op.f("ck_event_feed_feed_id")),
        sa.PrimaryKeyConstraint("only_row", name=op.f("pk_event_feed")),
    )
    op.execute(
        "INSERT INTO event_feed (feed_id, webhook_transaction_id)"
        " VALUES (floor(random() * 4294967295)::bigint, pg_current_xact_id())"
    )
    op.create_table(
        "webhooks",
        sa.Column("webhook_id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("of_all", sa.Boolean(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=True),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("transaction_id", _TransactionId(), server_default=_NOW, nullable=False),
        sa.CheckConstraint("length(secret) >= 16", name=op.f("ck_webhooks_secret")),
        sa.PrimaryKeyConstraint("webhook_id", name=op.f("pk_webhooks")),
    )
    op.create_index("ix_webhooks_owner", "webhooks", ["owner", "created_at"])
    op.create_table(
        "webhook_deliveries",
        sa.Column("delivery_id", sa.Text(), nullable=False),
        sa.Column("webhook_id", sa.Text(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "next_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("given_up_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("problem", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.CheckConstraint("attempts >= 0", name=op.f("ck_webhook_deliveries_attempts")),
        sa.CheckConstraint(
            "delivered_at IS NULL OR given_up_at IS NULL", name=op.f("ck_webhook_deliveries_ended")
        ),
        sa.ForeignKeyConstraint(
            ["webhook_id"],
            ["webhooks.webhook_id"],
            name=op.f("fk_webhook_deliveries_webhook_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("pk_webhook_deliveries")),
        sa.UniqueConstraint(
            "webhook_id", "event_id", name=op.f("uq_webhook_deliveries_webhook_id_event_id")
        ),
    )
    op.create_index(
        "ix_webhook_deliveries_next_at",
        "webhook_deliveries",
        ["next_at"],
        postgresql_where=sa.text("delivered_at IS NULL AND given_up_at IS NULL"),
    )
    for statement in (
        _TELL,
        _TELL_TRIGGER,
        _TASK_GONE,
        _TASK_GONE_TRIGGER,
        _NEW_TASK,
        _NEW_TASK_TRIGGER,
        _PARTY,
        _PARTY_TRIGGER,
        _REVOKED,
        _REVOKED_TRIGGER,
    ):
        op.execute(statement)


def downgrade() -> None:
    for table, name in (
        ("certificates", "note_revoked_parties"),
        ("parties", "note_party"),
        ("tasks", "note_new_task"),
        ("tasks", "note_deleted_task"),
        ("events", "tell_events"),
    ):
        op.execute(f"DROP TRIGGER {name} ON {table}")
        op.execute(f"DROP FUNCTION {name}()")
    op.drop_table("webhook_deliveries")
    op.drop_table("webhooks")
    op.drop_table("event_feed")
    op.drop_table("feed_events")
