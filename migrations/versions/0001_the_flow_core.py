"""The flow core."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "parties",
        sa.Column("federated_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("instance_id", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("inventory", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "first_seen_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "last_seen_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("federated_id", name=op.f("pk_parties")),
    )
    op.create_index(
        "ix_parties_owner_id",
        "parties",
        ["owner_id"],
        unique=False,
        postgresql_where=sa.text("owner_id IS NOT NULL"),
    )
    op.create_table(
        "tasks",
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("template_id", sa.Text(), nullable=False),
        sa.Column("remark", sa.Text(), nullable=True),
        sa.Column("federate_data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("run_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("latest_run_id", sa.Text(), nullable=True),
        sa.Column(
            "create_time",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "modify_time",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("run_count >= 0", name=op.f("ck_tasks_run_count")),
        sa.PrimaryKeyConstraint("task_id", name=op.f("pk_tasks")),
        sa.UniqueConstraint("name_key", name=op.f("uq_tasks_name_key")),
    )
    op.create_index("ix_tasks_create_time", "tasks", ["create_time", "task_id"], unique=False)
    op.create_index(
        "ix_tasks_federate_data", "tasks", ["federate_data"], unique=False, postgresql_using="gin"
    )
    op.create_table(
        "templates",
        sa.Column("template_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("spec", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "create_time",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "modify_time",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("template_id", name=op.f("pk_templates")),
        sa.UniqueConstraint("name_key", name=op.f("uq_templates_name_key")),
    )
    op.create_index(
        "ix_templates_create_time", "templates", ["create_time", "template_id"], unique=False
    )
    op.create_table(
        "runs",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("start_order", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("stop_request_id", sa.Text(), nullable=True),
        sa.Column("snapshot", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("desired", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), server_default=sa.text("'none'"), nullable=False),
        sa.Column("message", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "moved_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("connect_deadline_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("prepare_deadline_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("launch_ordered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(status IN ('Succeeded', 'Failed', 'Cancelled')) = (ended_at IS NOT NULL)",
            name=op.f("ck_runs_ended"),
        ),
        sa.CheckConstraint(
            "desired <> 'running' OR launch_ordered_at IS NOT NULL", name=op.f("ck_runs_launch")
        ),
        sa.CheckConstraint(
            "desired IN ('prepared', 'running', 'stopped')", name=op.f("ck_runs_desired")
        ),
        sa.CheckConstraint(
            "status IN ('Started', 'Pending', 'Running', 'Succeeded', 'Failed', 'Unknown', 'Cancelled')",
            name=op.f("ck_runs_status"),
        ),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.task_id"], name=op.f("fk_runs_task_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_runs")),
        sa.UniqueConstraint("start_order", name=op.f("uq_runs_start_order")),
        sa.UniqueConstraint("task_id", "number", name=op.f("uq_runs_task_id_number")),
        sa.UniqueConstraint("task_id", "request_id", name=op.f("uq_runs_task_id_request_id")),
    )
    op.create_index(
        "ix_runs_not_launched",
        "runs",
        ["connect_deadline_at"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NULL AND desired = 'prepared'"),
    )
    op.create_index(
        "uq_runs_active_task_id",
        "runs",
        ["task_id"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "events",
        sa.Column("event_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("party_run_id", sa.Text(), nullable=True),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("from_value", sa.Text(), nullable=True),
        sa.Column("to_value", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default=sa.text("'none'"), nullable=False),
        sa.Column(
            "at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint("side IN ('state', 'status', 'desired')", name=op.f("ck_events_side")),
        sa.CheckConstraint("from_value IS DISTINCT FROM to_value", name=op.f("ck_events_moves")),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.run_id"], name=op.f("fk_events_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_events")),
    )
    op.create_index("ix_events_run_id", "events", ["run_id", "event_id"], unique=False)
    op.create_table(
        "party_runs",
        sa.Column("party_run_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("federated_id", sa.Text(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("federated_data", sa.Text(), nullable=False),
        sa.Column("desired", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), server_default=sa.text("'none'"), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default=sa.text("'none'"), nullable=False),
        sa.Column("message", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column(
            "gpu_ids",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
        sa.Column("image_digest", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("report_sequence", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state IN ('succeeded', 'failed', 'stopped', 'refused')) = (finished_at IS NOT NULL)",
            name=op.f("ck_party_runs_finished"),
        ),
        sa.CheckConstraint(
            "desired IN ('prepared', 'running', 'stopped')", name=op.f("ck_party_runs_desired")
        ),
        sa.CheckConstraint(
            "reason <> 'none' OR NOT (state IN ('succeeded', 'failed', 'stopped', 'refused'))",
            name=op.f("ck_party_runs_final_reason"),
        ),
        sa.CheckConstraint(
            "state <> 'succeeded' OR exit_code IS NOT DISTINCT FROM 0",
            name=op.f("ck_party_runs_succeeded"),
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'preparing', 'prepared', 'launching', 'running', 'succeeded', 'failed', 'stopped', 'refused', 'lost')",
            name=op.f("ck_party_runs_state"),
        ),
        sa.CheckConstraint(
            "exit_code IS NULL OR finished_at IS NOT NULL", name=op.f("ck_party_runs_exit_code")
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.run_id"], name=op.f("fk_party_runs_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("party_run_id", name=op.f("pk_party_runs")),
        sa.UniqueConstraint(
            "run_id", "federated_id", name=op.f("uq_party_runs_run_id_federated_id")
        ),
        sa.UniqueConstraint("run_id", "rank", name=op.f("uq_party_runs_run_id_rank")),
    )
    op.create_index(
        "ix_party_runs_open",
        "party_runs",
        ["federated_id"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index(
        "ix_party_runs_open",
        table_name="party_runs",
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.drop_table("party_runs")
    op.drop_index("ix_events_run_id", table_name="events")
    op.drop_table("events")
    op.drop_index(
        "uq_runs_active_task_id", table_name="runs", postgresql_where=sa.text("ended_at IS NULL")
    )
    op.drop_index(
        "ix_runs_not_launched",
        table_name="runs",
        postgresql_where=sa.text("ended_at IS NULL AND desired = 'prepared'"),
    )
    op.drop_table("runs")
    op.drop_index("ix_templates_create_time", table_name="templates")
    op.drop_table("templates")
    op.drop_index("ix_tasks_federate_data", table_name="tasks", postgresql_using="gin")
    op.drop_index("ix_tasks_create_time", table_name="tasks")
    op.drop_table("tasks")
    op.drop_index(
        "ix_parties_owner_id",
        table_name="parties",
        postgresql_where=sa.text("owner_id IS NOT NULL"),
    )
    op.drop_table("parties")
