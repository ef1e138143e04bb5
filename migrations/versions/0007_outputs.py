"""Outputs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "output_rubbish",
        sa.Column("blob", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("party_run_id", sa.Text(), nullable=False),
        sa.Column(
            "deleted_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("blob", name=op.f("pk_output_rubbish")),
    )
    op.create_table(
        "outputs",
        sa.Column("party_run_id", sa.Text(), nullable=False),
        sa.Column("complete", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("withheld", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column(
            "skipped",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
        sa.Column("skipped_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint(
            "complete OR (withheld = '' AND skipped_count = 0)", name=op.f("ck_outputs_last_words")
        ),
        sa.CheckConstraint("skipped_count >= 0", name=op.f("ck_outputs_skipped_count")),
        sa.ForeignKeyConstraint(
            ["party_run_id"],
            ["party_runs.party_run_id"],
            name=op.f("fk_outputs_party_run_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("party_run_id", name=op.f("pk_outputs")),
    )
    op.create_table(
        "output_files",
        sa.Column("party_run_id", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("upload_id", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("blob", sa.Text(), nullable=False),
        sa.Column("offset_bytes", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "stored_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint("bytes >= 0 AND offset_bytes >= 0", name=op.f("ck_output_files_bytes")),
        sa.CheckConstraint("octet_length(sha256) = 32", name=op.f("ck_output_files_sha256")),
        sa.ForeignKeyConstraint(
            ["party_run_id"],
            ["outputs.party_run_id"],
            name=op.f("fk_output_files_party_run_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("party_run_id", "name_key", name=op.f("pk_output_files")),
    )
    op.create_index(
        "ix_output_files_party_run_id_blob", "output_files", ["party_run_id", "blob"], unique=False
    )
    op.create_table(
        "output_uploads",
        sa.Column("party_run_id", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("upload_id", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("blob", sa.Text(), nullable=False),
        sa.Column("stored_parts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("bytes > 0", name=op.f("ck_output_uploads_bytes")),
        sa.CheckConstraint(
            "stored_parts >= 0 AND (CAST(stored_parts AS bigint) - 1) * 8388608 < bytes",
            name=op.f("ck_output_uploads_stored_parts"),
        ),
        sa.ForeignKeyConstraint(
            ["party_run_id"],
            ["outputs.party_run_id"],
            name=op.f("fk_output_uploads_party_run_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("party_run_id", "name_key", name=op.f("pk_output_uploads")),
    )


def downgrade() -> None:
    op.drop_table("output_uploads")
    op.drop_index("ix_output_files_party_run_id_blob", table_name="output_files")
    op.drop_table("output_files")
    op.drop_table("outputs")
    op.drop_table("output_rubbish")
