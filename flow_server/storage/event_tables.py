"""The schema of what is told to who watches: every move of a state, in one order.

The database fills it in itself, whoever writes, also code that is older: from `events`, which
go with their run while these stay, and from what happens to tasks and parties.
"""

from typing import Any

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Table,
    Text,
    event,
    text,
)
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.types import UserDefinedType

from flow_contract.events import Side
from flow_server.storage.columns import metadata, one_of, set_at_insert


class TransactionId(UserDefinedType[int]):
    """PostgreSQL's number of a transaction, which never comes again."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Return the type's name."""
        return "xid8"


# So that who compares schemas knows it.
ischema_names["xid8"] = TransactionId

_OF_RUNS = [Side.STATE, Side.STATUS, Side.DESIRED, Side.RETRY]

feed_events = Table(
    "feed_events",
    metadata,
    Column("event_id", BigInteger, Identity(), primary_key=True),
    # Of the transaction that wrote it: events are read in this order, up to the oldest
    # transaction that may still write some.
    Column(
        "transaction_id",
        TransactionId(),
        nullable=False,
        server_default=text("pg_current_xact_id()"),
    ),
    # No foreign keys: an event outlives what it is about. Null is what it isn't about.
    Column("run_id", Text),
    Column("party_run_id", Text),
    Column("task_id", Text),
    Column("federated_id", Text),
    # Of the task.
    Column("owner", Text),
    # Which side moved: see flow_contract.events.
    Column("side", Text, nullable=False),
    # Null for the first value.
    Column("from_value", Text),
    Column("to_value", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=text("'none'")),
    set_at_insert("at"),
    CheckConstraint(one_of("side", Side), name="side"),
    # A run's sides are a run's, all others are a task's or a party's.
    CheckConstraint(f"({one_of('side', _OF_RUNS)}) = (run_id IS NOT NULL)", name="subject"),
    CheckConstraint("num_nulls(run_id, task_id, federated_id) < 3", name="about"),
    # Where a run begins.
    Index("ix_feed_events_run_id", "run_id", "event_id"),
    # The order of reading.
    Index("ix_feed_events_transaction_id", "transaction_id", "event_id"),
)

event_feed = Table(
    "event_feed",
    metadata,
    # There is one row, and no second.
    Column("only_row", Boolean, primary_key=True, server_default=text("true")),
    # Tokens of another feed are refused: its transactions were numbered otherwise.
    Column("feed_id", BigInteger, nullable=False),
    # The newest event that was deleted: who has not read it has missed something.
    Column("deleted_transaction_id", TransactionId(), nullable=False, server_default=text("'0'")),
    Column("deleted_event_id", BigInteger, nullable=False, server_default=text("0")),
    # Up to here webhooks have their deliveries.
    Column("webhook_transaction_id", TransactionId(), nullable=False, server_default=text("'0'")),
    Column("webhook_event_id", BigInteger, nullable=False, server_default=text("0")),
    CheckConstraint("only_row", name="only_row"),
    CheckConstraint("feed_id BETWEEN 0 AND 4294967295", name="feed_id"),
)

_TELL = """
CREATE FUNCTION tell_events() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
  INSERT INTO feed_events (run_id, party_run_id, task_id, federated_id, owner, side, from_value,
                           to_value, reason, at)
  SELECT made.run_id, made.party_run_id, runs.task_id,
         CASE WHEN party_runs.role = 'coordinator' THEN 'coordinator'
              ELSE party_runs.federated_id END, tasks.owner,
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
# After the whole schema: the triggers stand on one table and fill another.
for _statement in (
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
    event.listen(metadata, "after_create", DDL(_statement.replace("%", "%%")))  # type: ignore[no-untyped-call]
