"""Log chunks."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

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


def upgrade() -> None:
    op.create_table(
        "deleted_runs",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column(
            "deleted_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_deleted_runs")),
    )
    op.create_table(
        "logs",
        sa.Column("party_run_id", sa.Text(), nullable=False),
        sa.Column("end_byte", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("complete", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("withheld", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.CheckConstraint("complete OR NOT withheld", name=op.f("ck_logs_withheld")),
        sa.CheckConstraint("end_byte >= 0", name=op.f("ck_logs_end_byte")),
        sa.ForeignKeyConstraint(
            ["party_run_id"],
            ["party_runs.party_run_id"],
            name=op.f("fk_logs_party_run_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("party_run_id", name=op.f("pk_logs")),
    )
    op.create_table(
        "log_chunks",
        sa.Column("party_run_id", sa.Text(), nullable=False),
        sa.Column("start_byte", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("raw_bytes", sa.Integer(), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("last_at >= first_at", name=op.f("ck_log_chunks_times")),
        sa.CheckConstraint("lines >= 0", name=op.f("ck_log_chunks_lines")),
        sa.CheckConstraint("raw_bytes BETWEEN 1 AND 65536", name=op.f("ck_log_chunks_raw_bytes")),
        sa.CheckConstraint("start_byte >= 0", name=op.f("ck_log_chunks_start_byte")),
        sa.ForeignKeyConstraint(
            ["party_run_id"],
            ["logs.party_run_id"],
            name=op.f("fk_log_chunks_party_run_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("party_run_id", "start_byte", name=op.f("pk_log_chunks")),
    )
    op.execute(_REMEMBER)
    op.execute(_TRIGGER)


def downgrade() -> None:
    op.execute("DROP TRIGGER remember_deleted_runs ON runs")
    op.execute("DROP FUNCTION remember_deleted_runs()")
    op.drop_table("log_chunks")
    op.drop_table("logs")
    op.drop_table("deleted_runs")
