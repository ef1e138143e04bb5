"""The schema of the flow: what must never happen is forbidden here, each rule with a sentence.

State columns move only by compare-and-set, and each move leaves a row in `events` in the same
statement. Documents that are stored and read whole (spec, snapshot, inventory) are jsonb.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from flow_contract.coordination import RunRole
from flow_contract.lifecycle import (
    Desired,
    PartyRunState,
    RunStatus,
    is_final,
    is_final_status,
)
from flow_server.domain.coordination import Coordination
from flow_server.storage.columns import metadata, one_of, set_at_insert, time_column

_FINAL_STATES = [state for state in PartyRunState if is_final(state)]
_FINAL_STATUSES = [status for status in RunStatus if is_final_status(status)]
templates = Table(
    "templates",
    metadata,
    Column("template_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    # Two names that people read as one are one: see flow_contract.ids.name_key.
    Column("name_key", Text, nullable=False, unique=True),
    Column("spec", JSONB, nullable=False),
    # The user who made it; empty where users were not asked who they are.
    Column("owner", Text, nullable=False, server_default=text("''")),
    set_at_insert("create_time"),
    set_at_insert("modify_time"),
    Index("ix_templates_create_time", "create_time", "template_id"),
)

tasks = Table(
    "tasks",
    metadata,
    Column("task_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False, unique=True),
    # No foreign key: a template may go while tasks name it; the start checks it.
    Column("template_id", Text, nullable=False),
    Column("remark", Text),
    # [{"federated_id": …, "federated_data": …}], in the user's order, which is the rank.
    Column("federate_data", JSONB, nullable=False),
    Column("run_count", Integer, nullable=False, server_default=text("0")),
    # The run that the task's status comes from: its newest.
    Column("latest_run_id", Text),
    # The user who made it; empty where users were not asked who they are.
    Column("owner", Text, nullable=False, server_default=text("''")),
    set_at_insert("create_time"),
    set_at_insert("modify_time"),
    CheckConstraint("run_count >= 0", name="run_count"),
    Index("ix_tasks_create_time", "create_time", "task_id"),
    # Answers "the tasks of this party".
    Index("ix_tasks_federate_data", "federate_data", postgresql_using="gin"),
    # Answers "my tasks".
    Index("ix_tasks_owner", "owner", "create_time", "task_id"),
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", Text, primary_key=True),
    # Sites serve their queues in this order.
    Column("start_order", BigInteger, Identity(), nullable=False, unique=True),
    Column("task_id", Text, ForeignKey("tasks.task_id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("request_id", Text),
    Column("stop_request_id", Text),
    # The user who started it; a repeat has its original's.
    Column("requested_by", Text, nullable=False, server_default=text("''")),
    Column("snapshot", JSONB, nullable=False),
    # What one member's end means for the others: see flow_server.domain.coordination. Stands
    # here as well, because reports come by the thousand and a snapshot is slow to read.
    Column("coordination", Text, nullable=False, server_default=text("'none'")),
    # The trace of its start (W3C Trace Context); null where it is not traced.
    Column("traceparent", Text),
    Column("status", Text, nullable=False),
    Column("desired", Text, nullable=False),
    # Why `desired` became stopped: a reason code.
    Column("cause", Text, nullable=False, server_default=text("'none'")),
    Column("message", Text, nullable=False, server_default=text("''")),
    set_at_insert("created_at"),
    # When `status` moved last. Stands here and not in the task, because who starts or stops
    # locks the task before the run, and reports know only the run.
    set_at_insert("moved_at"),
    time_column("connect_deadline_at", nullable=False),
    time_column("prepare_deadline_at", nullable=False),
    # When all were prepared and the launch was ordered; null means that no container of the run
    # can ever have started.
    time_column("launch_ordered_at"),
    time_column("ended_at"),
    # The failed run that this one repeats, and how many repeats of its first run it makes.
    Column("retry_of", Text, unique=True),
    Column("retry_number", Integer, nullable=False, server_default=text("0")),
    # When this failed run is to be repeated; null if it isn't, or has been.
    time_column("retry_at"),
    CheckConstraint(one_of("status", RunStatus), name="status"),
    CheckConstraint(one_of("desired", Desired), name="desired"),
    CheckConstraint(one_of("coordination", Coordination), name="coordination"),
    # A run that has ended has an end, and no other.
    CheckConstraint(
        f"({one_of('status', _FINAL_STATUSES)}) = (ended_at IS NOT NULL)", name="ended"
    ),
    # Only what has failed is repeated.
    CheckConstraint("retry_at IS NULL OR status = 'Failed'", name="retry"),
    # Who repeats a run counts, and nobody else does.
    CheckConstraint(
        "retry_number >= 0 AND (retry_of IS NULL) = (retry_number = 0)", name="retry_number"
    ),
    # Launched runs were wanted running.
    CheckConstraint("desired <> 'running' OR launch_ordered_at IS NOT NULL", name="launch"),
    UniqueConstraint("task_id", "number"),
    # A repeated start is answered with the run that it made.
    UniqueConstraint("task_id", "request_id"),
    # A task has one active run at most.
    Index(
        "uq_runs_active_task_id",
        "task_id",
        unique=True,
        postgresql_where=text("ended_at IS NULL"),
    ),
    # What the retry loop reads.
    Index("ix_runs_retry_at", "retry_at", postgresql_where=text("retry_at IS NOT NULL")),
    # What is deleted by age.
    Index("ix_runs_ended_at", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
    # What the deadline loop reads.
    Index(
        "ix_runs_not_launched",
        "connect_deadline_at",
        postgresql_where=text("ended_at IS NULL AND desired = 'prepared'"),
    ),
)

party_runs = Table(
    "party_runs",
    metadata,
    Column("party_run_id", Text, primary_key=True),
    Column("run_id", Text, ForeignKey("runs.run_id", ondelete="CASCADE"), nullable=False),
    # No foreign key: a run names parties that never connected, and says so.
    Column("federated_id", Text, nullable=False),
    # A party's own share, or the run's coordinator, wherever that was put.
    Column("role", Text, nullable=False, server_default=text("'party'")),
    # A coordinator's is the number of parties.
    Column("rank", Integer, nullable=False),
    Column("federated_data", Text, nullable=False),
    Column("desired", Text, nullable=False),
    Column("cause", Text, nullable=False, server_default=text("'none'")),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=text("'none'")),
    Column("message", Text, nullable=False, server_default=text("''")),
    Column("exit_code", Integer),
    Column("gpu_ids", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    Column("image_digest", Text, nullable=False, server_default=text("''")),
    # The newest report applied; what is not newer is a repeat.
    Column("report_sequence", BigInteger, nullable=False, server_default=text("0")),
    set_at_insert("created_at"),
    time_column("started_at"),
    time_column("finished_at"),
    # What the workload says of itself; null and empty while it has said nothing.
    Column("current_epoch", Integer),
    Column("total_epoch", Integer),
    Column("note", Text, nullable=False, server_default=text("''")),
    # What went between it and each peer, and what a coordinator says of the parties.
    Column("traffic", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    Column("peer_progress", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    CheckConstraint(one_of("role", RunRole), name="role"),
    CheckConstraint(one_of("state", PartyRunState), name="state"),
    CheckConstraint(one_of("desired", Desired), name="desired"),
    # What has ended has an end and a reason, and no other has an exit code.
    CheckConstraint(
        f"({one_of('state', _FINAL_STATES)}) = (finished_at IS NOT NULL)", name="finished"
    ),
    CheckConstraint(
        f"reason <> 'none' OR NOT ({one_of('state', _FINAL_STATES)})", name="final_reason"
    ),
    CheckConstraint("exit_code IS NULL OR finished_at IS NOT NULL", name="exit_code"),
    # Said so that a missing exit code fails it: a CHECK accepts what is neither true nor false.
    CheckConstraint("state <> 'succeeded' OR exit_code IS NOT DISTINCT FROM 0", name="succeeded"),
    # Epochs are counted.
    CheckConstraint("current_epoch >= 0 AND total_epoch >= 0", name="epochs"),
    # Only a coordinator knows of others.
    CheckConstraint("peer_progress = '[]' OR role = 'coordinator'", name="peer_progress"),
    # A party takes part once; beside that it may hold the coordinator.
    UniqueConstraint("run_id", "federated_id", "role"),
    UniqueConstraint("run_id", "rank"),
    # A run has one coordinator at most.
    Index(
        "uq_party_runs_coordinator_run_id",
        "run_id",
        unique=True,
        postgresql_where=text("role = 'coordinator'"),
    ),
    # What a connecting agent asks for.
    Index(
        "ix_party_runs_open",
        "federated_id",
        postgresql_where=text("finished_at IS NULL"),
    ),
)

events = Table(
    "events",
    metadata,
    Column("event_id", BigInteger, Identity(), primary_key=True),
    Column("run_id", Text, ForeignKey("runs.run_id", ondelete="CASCADE"), nullable=False),
    # Null for a move of the run itself.
    Column("party_run_id", Text),
    # Which column moved: 'state' and 'status' are observed, 'desired' is the users' side.
    Column("side", Text, nullable=False),
    # Null for the first value.
    Column("from_value", Text),
    Column("to_value", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=text("'none'")),
    set_at_insert("at"),
    CheckConstraint("side IN ('state', 'status', 'desired')", name="side"),
    # An event is a move.
    CheckConstraint("from_value IS DISTINCT FROM to_value", name="moves"),
    Index("ix_events_run_id", "run_id", "event_id"),
)

parties = Table(
    "parties",
    metadata,
    Column("federated_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    # The agent that connected last; the same one may replace its own connection.
    Column("instance_id", Text, nullable=False),
    # Grows with every connection; a write on behalf of an older one finds no row.
    Column("epoch", BigInteger, nullable=False),
    # The replica that holds the connection; null when there is none.
    Column("owner_id", Text),
    # Outlives the connection by the rest of its time: a short cut is not an absence.
    time_column("lease_expires_at", nullable=False),
    Column("inventory", JSONB, nullable=False),
    # Takes no new work: by an operator's word, which outlives the connection, or by the
    # agent's own, which doesn't.
    Column("draining", Boolean, nullable=False, server_default=text("false")),
    Column("agent_draining", Boolean, nullable=False, server_default=text("false")),
    set_at_insert("first_seen_at"),
    set_at_insert("last_seen_at"),
    Index("ix_parties_owner_id", "owner_id", postgresql_where=text("owner_id IS NOT NULL")),
    # Where a coordinator can be put whose template names no party.
    Index(
        "ix_parties_coordinates",
        "federated_id",
        postgresql_where=text("inventory @> '{\"coordinates\": true}'"),
    ),
)

# What this schema promises to code that is older than it: see docs/adr/0007.
compatibility = Table(
    "compatibility",
    metadata,
    # There is one row, and no second.
    Column("only_row", Boolean, primary_key=True, server_default=text("true")),
    # The newest revision of the oldest code that still works on this schema. A migration that
    # older code can't live with writes its own revision here.
    Column("oldest_code", Text, nullable=False),
    CheckConstraint("only_row", name="only_row"),
)
