"""Identities and audit."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# Whoever may write at all could still take the trigger away; then the chain of hashes shows it.
_APPEND_ONLY = """
CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$;
"""
_TRIGGER = """
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
"""


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject_kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("previous_hash", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "outcome IN ('done', 'denied', 'failed')", name=op.f("ck_audit_outcome")
        ),
        sa.CheckConstraint("sequence >= 1", name=op.f("ck_audit_sequence")),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_audit")),
        sa.UniqueConstraint("hash", name=op.f("uq_audit_hash")),
        sa.UniqueConstraint("previous_hash", name=op.f("uq_audit_previous_hash")),
    )
    op.create_index(
        "ix_audit_subject", "audit", ["subject_kind", "subject_id", "sequence"], unique=False
    )
    op.execute(_APPEND_ONLY)
    op.execute(_TRIGGER)
    op.create_table(
        "certificates",
        sa.Column("serial", sa.Text(), nullable=False),
        sa.Column("federated_id", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.Text(), nullable=False),
        sa.Column("certificate_pem", sa.Text(), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_after", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "issued_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("not_after > not_before", name=op.f("ck_certificates_validity")),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_certificates")),
    )
    op.create_index(
        "ix_certificates_federated_id", "certificates", ["federated_id", "issued_at"], unique=False
    )
    op.create_table(
        "enrolments",
        sa.Column("token_id", sa.Text(), nullable=False),
        sa.Column("federated_id", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_for_key", sa.Text(), nullable=True),
        sa.Column("voided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(used_at IS NULL) = (used_for_key IS NULL)", name=op.f("ck_enrolments_used")
        ),
        sa.CheckConstraint("length(secret_hash) = 64", name=op.f("ck_enrolments_secret_hash")),
        sa.CheckConstraint(
            "used_at IS NULL OR voided_at IS NULL", name=op.f("ck_enrolments_used_or_void")
        ),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_enrolments")),
    )
    op.create_index(
        "uq_enrolments_open",
        "enrolments",
        ["federated_id"],
        unique=True,
        postgresql_where=sa.text("used_at IS NULL AND voided_at IS NULL"),
    )
    op.create_table(
        "users",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "role IN ('viewer', 'researcher', 'operator', 'admin')", name=op.f("ck_users_role")
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_users")),
    )
    op.create_table(
        "tokens",
        sa.Column("token_id", sa.Text(), nullable=False),
        sa.Column("user_name", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("secret_hash", sa.Text(), nullable=False),
        sa.Column("scopes", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("expires_at > created_at", name=op.f("ck_tokens_expires")),
        sa.CheckConstraint("length(secret_hash) = 64", name=op.f("ck_tokens_secret_hash")),
        sa.ForeignKeyConstraint(["user_name"], ["users.name"], name=op.f("fk_tokens_user_name")),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_tokens")),
    )
    op.create_index("ix_tokens_user_name", "tokens", ["user_name", "created_at"], unique=False)
    op.add_column(
        "runs", sa.Column("requested_by", sa.Text(), server_default=sa.text("''"), nullable=False)
    )
    op.add_column(
        "tasks", sa.Column("owner", sa.Text(), server_default=sa.text("''"), nullable=False)
    )
    op.create_index("ix_tasks_owner", "tasks", ["owner", "create_time", "task_id"], unique=False)
    op.add_column(
        "templates", sa.Column("owner", sa.Text(), server_default=sa.text("''"), nullable=False)
    )


def downgrade() -> None:
    op.drop_column("templates", "owner")
    op.drop_index("ix_tasks_owner", table_name="tasks")
    op.drop_column("tasks", "owner")
    op.drop_column("runs", "requested_by")
    op.drop_index("ix_tokens_user_name", table_name="tokens")
    op.drop_table("tokens")
    op.drop_table("users")
    op.drop_index(
        "uq_enrolments_open",
        table_name="enrolments",
        postgresql_where=sa.text("used_at IS NULL AND voided_at IS NULL"),
    )
    op.drop_table("enrolments")
    op.drop_index("ix_certificates_federated_id", table_name="certificates")
    op.drop_table("certificates")
    op.drop_index("ix_audit_subject", table_name="audit")
    op.drop_table("audit")
    op.execute("DROP FUNCTION audit_is_append_only()")
