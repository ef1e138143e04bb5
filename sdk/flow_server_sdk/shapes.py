"""What calls return: contract types as the documented dictionaries, keys in documented order.

What goes beyond the original stands last, and in templates and tasks only where it was set, so
that ordinary ones look exactly as documented.
"""

from collections.abc import Sequence
from typing import Any

from flow_contract.metrics import PartyMetrics
from flow_contract.outputs import PartyOutputs, StoredOutput
from flow_contract.parties import Party
from flow_contract.runs import Run
from flow_contract.tasks import Task
from flow_contract.templates import Template
from flow_contract.users import ApiToken, User
from flow_server_sdk.dates import rfc822, rfc822_or_none
from flow_server_sdk.member_shapes import coordinator, party_status
from flow_server_sdk.template_shapes import extras, written

Answer = dict[str, Any]

# A message names this many parties.
_NAMED = 5


def success(data: dict[str, Any] | None = None, *, note: str = "") -> Answer:
    """Return the envelope of a call that worked; without a result it has no `data` key."""
    envelope: Answer = {"ret_code": 0, "ret_msg": f"success; {note}" if note else "success"}
    if data is not None:
        envelope["data"] = data
    return envelope


def template(stored: Template) -> dict[str, Any]:
    """Return a template as get and list show it."""
    return {
        **written(stored.spec),
        "template_id": stored.template_id,
        "create_time": rfc822(stored.create_time),
        "modify_time": rfc822(stored.modify_time),
        **extras(stored.spec),
    }


def task(stored: Task) -> dict[str, Any]:
    """Return a task as get and list show it; how many epochs its run has is not in it.

    `coordinator` stands beside `party_status` where the latest run has one.
    """
    shared = coordinator(stored.party_runs or ())
    return {
        "create_time": rfc822(stored.create_time),
        "federate_data": [
            {"federated_data": party.federated_data, "federated_id": party.federated_id}
            for party in stored.spec.federate_data
        ],
        "modify_time": rfc822(stored.modify_time),
        "name": stored.spec.name,
        "party_status": None if stored.party_runs is None else party_status(stored.party_runs),
        "remark": stored.spec.remark,
        "status": None if stored.status is None else str(stored.status),
        "task_id": stored.task_id,
        "template_id": stored.spec.template_id,
        **({} if shared is None else {"coordinator": shared}),
    }


def waited_task(stored: Task) -> dict[str, Any]:
    """Return a task as wait shows it: with the run it speaks of, and how that run ended."""
    return {**task(stored), "run_id": stored.run_id, "run_message": stored.run_message}


def run(stored: Run) -> dict[str, Any]:
    """Return one start of a task with the template as it was then; `end_time` None = active.

    `retry_of` is the run that it repeats; `retry_at` says when it will be repeated itself.
    """
    snapshot = stored.snapshot
    return {
        "run_id": stored.run_id,
        "task_id": stored.task_id,
        "number": stored.number,
        "status": str(stored.status),
        "message": stored.message,
        "template_id": snapshot.template_id,
        "template": {**written(snapshot.template), **extras(snapshot.template)},
        "epochs": snapshot.epochs,
        "hyper_parameter": list(snapshot.hyper_parameter),
        "enable_smpc": snapshot.enable_smpc,
        "party_status": party_status(stored.party_runs, snapshot.epochs),
        "create_time": rfc822(stored.created_at),
        "end_time": rfc822_or_none(stored.ended_at),
        "retry_of": stored.retry_of,
        "retry_at": rfc822_or_none(stored.retry_at),
        "coordinator": coordinator(stored.party_runs, snapshot.epochs),
    }


def party(known: Party) -> dict[str, Any]:
    """Return a site and what its agent last said it has."""
    inventory = known.inventory
    return {
        "federated_id": known.federated_id,
        "name": known.name,
        "connected": known.connected,
        "draining": known.draining,
        "runtime": inventory.runtime,
        "agent_version": inventory.agent_version,
        "cpus": inventory.cpus,
        "memory_bytes": inventory.memory_bytes,
        "gpu_ids": list(inventory.gpu_ids),
        "data_names": list(inventory.data_names),
        "first_seen": rfc822(known.first_seen_at),
        "last_seen": rfc822(known.last_seen_at),
        "coordinates": inventory.coordinates,
        "direct_address": inventory.direct_address,
    }


def points(metrics: PartyMetrics) -> list[dict[str, Any]]:
    """Return one party's points; `time` is seconds since 1970 by the site's clock."""
    columns = metrics.points
    rows = zip(columns.names, columns.steps, columns.values, columns.at_us, strict=True)
    return [
        {
            "party": metrics.federated_id,
            "name": name,
            "step": step,
            "value": value,
            "time": at_us / 1e6,
        }
        for name, step, value, at_us in rows
    ]


def not_reached(parties: Sequence[str]) -> str:
    """Return what a stop has to say of the parties that are lost, "" if none is."""
    if not parties:
        return ""
    shown = ", ".join(parties[:_NAMED]) + (" and others" if len(parties) > _NAMED else "")
    return (
        f"not reached: {shown}. The stop waits for their return; "
        "stop the task with force=True to end the run without them"
    )


def user(known: User) -> dict[str, Any]:
    """Return a user of the server's own."""
    return {
        "name": known.name,
        "role": str(known.role),
        "disabled": known.is_disabled,
        "create_time": rfc822(known.created_at),
    }


def api_token(known: ApiToken) -> dict[str, Any]:
    """Return a token without its secret; `scopes` None is all that its user's role allows."""
    return {
        "token_id": known.token_id,
        "user_name": known.user_name,
        "label": known.label,
        "scopes": None if known.scopes is None else sorted(str(right) for right in known.scopes),
        "create_time": rfc822(known.created_at),
        "expires_at": rfc822(known.expires_at),
        "revoked_at": rfc822_or_none(known.revoked_at),
        "last_used_at": rfc822_or_none(known.last_used_at),
    }


def output(file: StoredOutput) -> Answer:
    """Return a file that can be downloaded."""
    return {
        "party": file.federated_id,
        "name": file.name,
        "bytes": file.bytes,
        "sha256": file.sha256.hex(),
        "stored_at": rfc822_or_none(file.stored_at),
    }


def party_outputs(party: PartyOutputs) -> Answer:
    """Return what one party's share of a run has made."""
    return {
        "party": party.federated_id,
        "rank": party.rank,
        "complete": party.complete,
        "files": party.files,
        "bytes": party.bytes,
        "coming": [vars(one) for one in party.coming],
        "withheld": party.closed.withheld,
        "skipped": [vars(one) for one in party.closed.skipped],
        "skipped_count": party.closed.skipped_count,
    }
