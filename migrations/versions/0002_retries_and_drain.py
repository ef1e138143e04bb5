"""Retries and drain."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "parties",
        sa.Column("draining", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.add_column(
        "parties",
        sa.Column("agent_draining", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.add_column("runs", sa.Column("retry_of", sa.Text(), nullable=True))
    op.add_column(
        "runs",
        sa.Column("retry_number", sa.Integer(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column("runs", sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_runs_retry_at",
        "runs",
        ["retry_at"],
        unique=False,
        postgresql_where=sa.text("retry_at IS NOT NULL"),
    )
    op.create_index(
        "ix_runs_ended_at",
        "runs",
        ["ended_at"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NOT NULL"),
    )
    op.create_unique_constraint(op.f("uq_runs_retry_of"), "runs", ["retry_of"])
    op.create_check_constraint(
        op.f("ck_runs_retry"), "runs", "retry_at IS NULL OR status = 'Failed'"
    )
    op.create_check_constraint(
        op.f("ck_runs_retry_number"),
        "runs",
        "retry_number >= 0 AND (retry_of IS NULL) = (retry_number = 0)",
    )


def downgrade() -> None:
    op.drop_constraint(op.f("ck_runs_retry_number"), "runs", type_="check")
    op.drop_constraint(op.f("ck_runs_retry"), "runs", type_="check")
    op.drop_constraint(op.f("uq_runs_retry_of"), "runs", type_="unique")
    op.drop_index(
        "ix_runs_ended_at", table_name="runs", postgresql_where=sa.text("ended_at IS NOT NULL")
    )
    op.drop_index(
        "ix_runs_retry_at", table_name="runs", postgresql_where=sa.text("retry_at IS NOT NULL")
    )
    op.drop_column("runs", "retry_at")
    op.drop_column("runs", "retry_number")
    op.drop_column("runs", "retry_of")
    op.drop_column("parties", "agent_draining")
    op.drop_column("parties", "draining")
