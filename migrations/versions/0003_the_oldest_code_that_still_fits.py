"""The oldest code that still fits."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "compatibility",
        sa.Column("only_row", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("oldest_code", sa.Text(), nullable=False),
        sa.CheckConstraint("only_row", name=op.f("ck_compatibility_only_row")),
        sa.PrimaryKeyConstraint("only_row", name=op.f("pk_compatibility")),
    )
    op.execute("INSERT INTO compatibility (oldest_code) VALUES ('0001')")


def downgrade() -> None:
    op.drop_table("compatibility")
