"""A row of every table as a version could hold it, every column filled in."""

_T = "2026-01-02T03:04:05.678901+00:00"

# As version 0001 could.
ROWS = {
    "templates": [
        {
            "template_id": "tpl",
            "name": "Zoë 日本",
            "name_key": "zoë 日本",
            "spec": {"name": "Zoë 日本", "command": ["a", 1.5, None]},
            "create_time": _T,
            "modify_time": _T,
        }
    ],
    "tasks": [
        {
            "task_id": "task",
            "name": "Train",
            "name_key": "train",
            "template_id": "tpl",
            "remark": "for ever",
            "federate_data": [{"federated_id": "north", "federated_data": "scans"}],
            "run_count": 2,
            "latest_run_id": "run-2",
            "create_time": _T,
            "modify_time": _T,
        }
    ],
    "runs": [
        {
            "run_id": run_id,
            "start_order": number,
            "task_id": "task",
            "number": number,
            "request_id": f"ask-{number}",
            "stop_request_id": f"stop-{number}",
            "snapshot": {"template_id": "tpl", "epochs": 3},
            "status": status,
            "desired": desired,
            "cause": "none",
            "message": "a sentence",
            "created_at": _T,
            "moved_at": _T,
            "connect_deadline_at": _T,
            "prepare_deadline_at": _T,
            "launch_ordered_at": _T,
            "ended_at": ended_at,
        }
        for run_id, number, status, desired, ended_at in (
            ("run-1", 1, "Failed", "stopped", _T),
            ("run-2", 2, "Running", "running", None),
        )
    ],
    "party_runs": [
        {
            "party_run_id": "share",
            "run_id": "run-1",
            "federated_id": "north",
            "rank": 0,
            "federated_data": "scans",
            "desired": "stopped",
            "cause": "start_timed_out",
            "state": "failed",
            "reason": "exit_nonzero",
            "message": "a sentence",
            "exit_code": 7,
            "gpu_ids": ["0", "3"],
            "image_digest": "sha256:1",
            "report_sequence": 12,
            "created_at": _T,
            "started_at": _T,
            "finished_at": _T,
        }
    ],
    "events": [
        {
            "event_id": 1,
            "run_id": "run-1",
            "party_run_id": "share",
            "side": "state",
            "from_value": "running",
            "to_value": "failed",
            "reason": "exit_nonzero",
            "at": _T,
        }
    ],
    "parties": [
        {
            "federated_id": "north",
            "name": "North",
            "instance_id": "one",
            "epoch": 4,
            "owner_id": "replica",
            "lease_expires_at": _T,
            "inventory": {"cpus": 8},
            "first_seen_at": _T,
            "last_seen_at": _T,
        }
    ],
}

# What later versions added to these tables, as their code fills it in: {table: {key: columns}}.
ADDED = {
    "templates": {"tpl": {"owner": "alice"}},
    "tasks": {"task": {"owner": "alice"}},
    "runs": {
        "run-1": {
            "retry_of": "run-0",
            "retry_number": 2,
            "retry_at": _T,
            "requested_by": "alice",
            "coordination": "after_parties",
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        },
    },
    "party_runs": {
        "share": {
            "current_epoch": 3,
            "total_epoch": 10,
            "note": "warming up",
            "role": "party",
            "traffic": [{"peer": "coordinator", "sent_bytes": 7}],
            "peer_progress": [],
        }
    },
    "parties": {"north": {"draining": True, "agent_draining": True}},
}

# Tables that later versions added: empty, or filled by their migrations.
NEW_TABLES = {
    "compatibility",
    "users",
    "tokens",
    "enrolments",
    "certificates",
    "audit",
    "logs",
    "log_chunks",
    "deleted_runs",
    "metric_heads",
    "metric_points",
    "event_feed",
    "feed_events",
    "webhooks",
    "webhook_deliveries",
    "outputs",
    "output_uploads",
    "output_files",
    "output_rubbish",
}

# Rules that a later one took the place of, which forbids less: all that older code stores fits.
WIDENED = {"uq_party_runs_run_id_federated_id": "uq_party_runs_run_id_federated_id_role"}


def rows_of(columns):
    """Return the rows as far as a version with these columns holds them."""
    return {
        table: [_filled(table, row, columns[table]) for row in rows] for table, rows in ROWS.items()
    }


def _filled(table, row, known):
    more = ADDED.get(table, {}).get(next(iter(row.values())), {})
    return row | {name: value for name, value in more.items() if name in known}


def added_to(columns):
    """Return what of ADDED a version with these columns doesn't know, in the same form."""
    left = {
        table: {
            key: {name: value for name, value in more.items() if name not in columns[table]}
            for key, more in rows.items()
        }
        for table, rows in ADDED.items()
    }
    return {table: rows for table, rows in left.items() if any(rows.values())}
