"""Every table of the schema: who needs the whole asks here, so that none is forgotten."""

from flow_server.storage import (
    columns,
    identity_tables,
    log_tables,
    metric_tables,
    output_tables,
    tables,
)

metadata = columns.metadata
TABLES = (
    tables.templates,
    tables.tasks,
    tables.runs,
    tables.party_runs,
    tables.events,
    tables.parties,
    tables.compatibility,
    identity_tables.users,
    identity_tables.tokens,
    identity_tables.enrolments,
    identity_tables.certificates,
    identity_tables.audit,
    metric_tables.metric_heads,
    metric_tables.metric_points,
    log_tables.logs,
    log_tables.log_chunks,
    log_tables.deleted_runs,
    output_tables.outputs,
    output_tables.output_uploads,
    output_tables.output_files,
    output_tables.output_rubbish,
)
