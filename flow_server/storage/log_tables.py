"""The schema of logs: how far each party run's log goes, its chunks, and blobs without a run.

The bytes themselves are blobs. A row says that its blob is there; a blob alone says nothing.
"""

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    Table,
    Text,
    event,
    text,
)

from flow_server.storage.columns import metadata, set_at_insert, time_column

logs = Table(
    "logs",
    metadata,
    Column(
        "party_run_id",
        Text,
        ForeignKey("party_runs.party_run_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    # The offset after the last byte that is stored: the next chunk begins there or nowhere.
    Column("end_byte", BigInteger, nullable=False, server_default=text("0")),
    # Nothing follows.
    Column("complete", Boolean, nullable=False, server_default=text("false")),
    # The site keeps it to itself.
    Column("withheld", Boolean, nullable=False, server_default=text("false")),
    CheckConstraint("end_byte >= 0", name="end_byte"),
    CheckConstraint("complete OR NOT withheld", name="withheld"),
)

log_chunks = Table(
    "log_chunks",
    metadata,
    Column(
        "party_run_id",
        Text,
        ForeignKey("logs.party_run_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("start_byte", BigInteger, primary_key=True, autoincrement=False),
    # Before compression.
    Column("raw_bytes", Integer, nullable=False),
    # Line ends and marks in it.
    Column("lines", Integer, nullable=False),
    # By the site's clock.
    time_column("first_at", nullable=False),
    time_column("last_at", nullable=False),
    CheckConstraint("start_byte >= 0", name="start_byte"),
    CheckConstraint("raw_bytes BETWEEN 1 AND 65536", name="raw_bytes"),
    CheckConstraint("lines >= 0", name="lines"),
    CheckConstraint("last_at >= first_at", name="times"),
)

# Runs that were deleted, whoever deleted them: their blobs are still to go.
deleted_runs = Table(
    "deleted_runs",
    metadata,
    Column("run_id", Text, primary_key=True),
    set_at_insert("deleted_at"),
)

_REMEMBER = """
CREATE FUNCTION remember_deleted_runs() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
  INSERT INTO deleted_runs (run_id) SELECT run_id FROM gone ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
"""
_TRIGGER = """
CREATE TRIGGER remember_deleted_runs AFTER DELETE ON runs
REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION remember_deleted_runs();
"""
# After the whole schema: the trigger stands on one table and fills another.
for _statement in (_REMEMBER, _TRIGGER):
    event.listen(metadata, "after_create", DDL(_statement))  # type: ignore[no-untyped-call]
