"""Every table of the schema: who needs the whole asks here, so that none is forgotten."""

from flow_server.storage import (
    columns,
    event_tables,
    identity_tables,
    log_tables,
    metric_tables,
    output_tables,
    tables,
    webhook_tables,
)

metadata = columns.metadata
TABLES = (
    tables.templates,
    tables.tasks,
    tables.runs,
    tables.party_runs,
    tables.events,
    event_tables.feed_events,
    event_tables.event_feed,
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
    webhook_tables.webhooks,
    webhook_tables.webhook_deliveries,
    output_tables.outputs,
    output_tables.output_uploads,
    output_tables.output_files,
    output_tables.output_rubbish,
)
