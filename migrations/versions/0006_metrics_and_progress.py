"""Metrics and progress."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

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


def upgrade() -> None:
    op.create_table(
        "metric_heads",
        sa.Column("party_run_id", sa.Text(), nullable=False),
        sa.Column("stored", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("dropped", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("stored >= 0 AND dropped >= 0", name=op.f("ck_metric_heads_counts")),
        sa.ForeignKeyConstraint(
            ["party_run_id"],
            ["party_runs.party_run_id"],
            name=op.f("fk_metric_heads_party_run_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("party_run_id", name=op.f("pk_metric_heads")),
    )
    op.create_table(
        "metric_points",
        sa.Column("party_run_id", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.CheckConstraint(
            "value NOT IN ('NaN', 'Infinity', '-Infinity')", name=op.f("ck_metric_points_finite")
        ),
        sa.CheckConstraint("sequence >= 1", name=op.f("ck_metric_points_sequence")),
        sa.PrimaryKeyConstraint("party_run_id", "sequence", name=op.f("pk_metric_points")),
    )
    op.execute(_GO_WITH_HEAD)
    op.execute(_TRIGGER)
    op.add_column("party_runs", sa.Column("current_epoch", sa.Integer(), nullable=True))
    op.add_column("party_runs", sa.Column("total_epoch", sa.Integer(), nullable=True))
    op.add_column(
        "party_runs", sa.Column("note", sa.Text(), server_default=sa.text("''"), nullable=False)
    )
    op.create_check_constraint(
        op.f("ck_party_runs_epochs"), "party_runs", "current_epoch >= 0 AND total_epoch >= 0"
    )


def downgrade() -> None:
    op.drop_constraint(op.f("ck_party_runs_epochs"), "party_runs")
    op.drop_column("party_runs", "note")
    op.drop_column("party_runs", "total_epoch")
    op.drop_column("party_runs", "current_epoch")
    op.drop_table("metric_points")
    op.drop_table("metric_heads")
    op.execute("DROP FUNCTION metric_points_go_with_head()")
