"""Coordinators: one more party run, beside the parties' or at one of them, and who met whom."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_TELL = """
CREATE OR REPLACE FUNCTION tell_events() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
  INSERT INTO feed_events (run_id, party_run_id, task_id, federated_id, owner, side, from_value,
                           to_value, reason, at)
  SELECT made.run_id, made.party_run_id, runs.task_id, {name}, tasks.owner,
         made.side, made.from_value, made.to_value, made.reason, made.at
  FROM made
  JOIN runs ON runs.run_id = made.run_id
  JOIN tasks ON tasks.task_id = runs.task_id
  LEFT JOIN party_runs ON party_runs.party_run_id = made.party_run_id
  ORDER BY made.event_id;
  RETURN NULL;
END $$;
"""
_SHOWN_NAME = """
         CASE WHEN party_runs.role = 'coordinator' THEN 'coordinator'
              ELSE party_runs.federated_id END"""


def upgrade() -> None:
    op.add_column(
        "runs",
        sa.Column("coordination", sa.Text(), server_default=sa.text("'none'"), nullable=False),
    )
    op.create_check_constraint(
        op.f("ck_runs_coordination"),
        "runs",
        "coordination IN ('none', 'mesh', 'after_parties', 'by_itself', 'decides')",
    )
    op.add_column(
        "party_runs",
        sa.Column("role", sa.Text(), server_default=sa.text("'party'"), nullable=False),
    )
    for name in ("traffic", "peer_progress"):
        op.add_column(
            "party_runs",
            sa.Column(
                name, postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False
            ),
        )
    op.create_check_constraint(
        op.f("ck_party_runs_role"), "party_runs", "role IN ('party', 'coordinator')"
    )
    op.create_check_constraint(
        op.f("ck_party_runs_peer_progress"),
        "party_runs",
        "peer_progress = '[]' OR role = 'coordinator'",
    )
    # The new one first, so that there is one at every moment.
    op.create_unique_constraint(
        op.f("uq_party_runs_run_id_federated_id_role"),
        "party_runs",
        ["run_id", "federated_id", "role"],
    )
    op.drop_constraint(op.f("uq_party_runs_run_id_federated_id"), "party_runs", type_="unique")
    op.create_index(
        "uq_party_runs_coordinator_run_id",
        "party_runs",
        ["run_id"],
        unique=True,
        postgresql_where=sa.text("role = 'coordinator'"),
    )
    op.create_index(
        "ix_parties_coordinates",
        "parties",
        ["federated_id"],
        postgresql_where=sa.text("inventory @> '{\"coordinates\": true}'"),
    )
    op.execute(_TELL.replace(" {name}", _SHOWN_NAME))


def downgrade() -> None:
    op.execute(_TELL.replace("{name}", "party_runs.federated_id"))
    op.drop_index("ix_parties_coordinates", table_name="parties")
    op.drop_index("uq_party_runs_coordinator_run_id", table_name="party_runs")
    # Code before this revision knows no such member of a run, and would take it for a party.
    op.execute("DELETE FROM party_runs WHERE role = 'coordinator'")
    op.create_unique_constraint(
        op.f("uq_party_runs_run_id_federated_id"), "party_runs", ["run_id", "federated_id"]
    )
    op.drop_constraint(op.f("uq_party_runs_run_id_federated_id_role"), "party_runs", type_="unique")
    op.drop_constraint(op.f("ck_party_runs_peer_progress"), "party_runs", type_="check")
    op.drop_constraint(op.f("ck_party_runs_role"), "party_runs", type_="check")
    for name in ("peer_progress", "traffic", "role"):
        op.drop_column("party_runs", name)
    op.drop_constraint(op.f("ck_runs_coordination"), "runs", type_="check")
    op.drop_column("runs", "coordination")
