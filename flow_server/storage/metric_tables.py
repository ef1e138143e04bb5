"""The schema of what workloads measure: points, and per party run how many there are."""

from sqlalchemy import (
    DDL,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Table,
    Text,
    event,
)
from sqlalchemy import text as sql

from flow_server.storage.columns import metadata

metric_heads = Table(
    "metric_heads",
    metadata,
    Column(
        "party_run_id",
        Text,
        ForeignKey("party_runs.party_run_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    # The number of its newest point: those up to it are all there, and none after it.
    Column("stored", BigInteger, nullable=False, server_default=sql("0")),
    # What never came, as its agent counts it.
    Column("dropped", BigInteger, nullable=False, server_default=sql("0")),
    # The rule of the site that keeps points there.
    Column("withheld", Text, nullable=False, server_default=sql("''")),
    CheckConstraint("stored >= 0 AND dropped >= 0", name="counts"),
)

metric_points = Table(
    "metric_points",
    metadata,
    # No foreign key: looking it up for each of a million points costs twice what storing them
    # does. They are written with their head in one statement, and go with it by the trigger.
    Column("party_run_id", Text, primary_key=True),
    # Counts from 1 in each party run; a point that comes twice is stored once.
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("step", BigInteger, nullable=False),
    # By the workload's clock.
    Column("at", DateTime(timezone=True), nullable=False),
    Column("value", Double, nullable=False),
    CheckConstraint("sequence >= 1", name="sequence"),
    # Numbers that can be drawn.
    CheckConstraint("value NOT IN ('NaN', 'Infinity', '-Infinity')", name="finite"),
)

_GO_WITH_HEAD = """
CREATE FUNCTION metric_points_go_with_head() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
  DELETE FROM metric_points USING gone WHERE metric_points.party_run_id = gone.party_run_id;
  RETURN NULL;
END $$;
"""
_TRIGGER = """
CREATE TRIGGER metric_points_go_with_head AFTER DELETE ON metric_heads
REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION metric_points_go_with_head();
"""
for _statement in (_GO_WITH_HEAD, _TRIGGER):
    event.listen(metric_heads, "after_create", DDL(_statement))  # type: ignore[no-untyped-call]
