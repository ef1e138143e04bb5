"""What calls return: contract types as the documented dictionaries, keys in documented order.

What goes beyond the original stands last, and in a template only where it was set, so that
an ordinary template looks exactly as documented.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from flow_contract.lifecycle import PartyRunState
from flow_contract.metrics import PartyMetrics
from flow_contract.outputs import PartyOutputs, StoredOutput
from flow_contract.parties import Party
from flow_contract.runs import PartyRun, Run
from flow_contract.tasks import Task
from flow_contract.templates import GpuRequest, Resources, Template, TemplateSpec
from flow_contract.users import ApiToken, User
from flow_server_sdk.dates import rfc822, rfc822_or_none

Answer = dict[str, Any]

# A message names this many parties.
_NAMED = 5

_DEFAULTS = TemplateSpec(name="", image_url="")


def success(data: dict[str, Any] | None = None, *, note: str = "") -> Answer:
    """Return the envelope of a call that worked; without a result it has no `data` key."""
    envelope: Answer = {"ret_code": 0, "ret_msg": f"success; {note}" if note else "success"}
    if data is not None:
        envelope["data"] = data
    return envelope


def template(stored: Template) -> dict[str, Any]:
    """Return a template as get and list show it."""
    return {
        **_written(stored.spec),
        "template_id": stored.template_id,
        "create_time": rfc822(stored.create_time),
        "modify_time": rfc822(stored.modify_time),
        **_extras(stored.spec),
    }


def task(stored: Task) -> dict[str, Any]:
    """Return a task as get and list show it; how many epochs its run has is not in it."""
    return {
        "create_time": rfc822(stored.create_time),
        "federate_data": [
            {"federated_data": party.federated_data, "federated_id": party.federated_id}
            for party in stored.spec.federate_data
        ],
        "modify_time": rfc822(stored.modify_time),
        "name": stored.spec.name,
        "party_status": None
        if stored.party_runs is None
        else [_party_status(party_run, None) for party_run in stored.party_runs],
        "remark": stored.spec.remark,
        "status": None if stored.status is None else str(stored.status),
        "task_id": stored.task_id,
        "template_id": stored.spec.template_id,
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
        "template": {**_written(snapshot.template), **_extras(snapshot.template)},
        "epochs": snapshot.epochs,
        "hyper_parameter": list(snapshot.hyper_parameter),
        "enable_smpc": snapshot.enable_smpc,
        "party_status": [_party_status(item, snapshot.epochs) for item in stored.party_runs],
        "create_time": rfc822(stored.created_at),
        "end_time": rfc822_or_none(stored.ended_at),
        "retry_of": stored.retry_of,
        "retry_at": rfc822_or_none(stored.retry_at),
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


def _party_status(party_run: PartyRun, total_epoch: int | None) -> dict[str, Any]:
    complete = party_run.state is PartyRunState.SUCCEEDED
    ready = complete or party_run.state is PartyRunState.RUNNING or party_run.started_at is not None
    return {
        "name": party_run.federated_id,
        "ready": ready,
        "complete": complete,
        # What the workload says; of one that says nothing only that it has not begun is known.
        "current_epoch": 0
        if party_run.current_epoch is None and not ready
        else party_run.current_epoch,
        "total_epoch": total_epoch if party_run.total_epoch is None else party_run.total_epoch,
        "federated_id": party_run.federated_id,
        "party_run_id": party_run.party_run_id,
        "state": str(party_run.state),
        "desired": str(party_run.desired),
        "reason": str(party_run.reason),
        "message": party_run.message,
        "exit_code": party_run.exit_code,
        "gpu_ids": list(party_run.gpu_ids),
        "image_digest": party_run.image_digest,
        "started_at": rfc822_or_none(party_run.started_at),
        "finished_at": rfc822_or_none(party_run.finished_at),
        "note": party_run.note,
    }


def _written(spec: TemplateSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "remark": spec.remark,
        "image_url": spec.image_url,
        "workdir": spec.workdir,
        "command": list(spec.command),
        "hyper_parameter": None if spec.hyper_parameter is None else list(spec.hyper_parameter),
    }


def _extras(spec: TemplateSpec) -> dict[str, Any]:
    extras: dict[str, Any] = {}
    if spec.resources != Resources():
        extras["resources"] = _resources(spec.resources)
    if spec.env:
        extras["env"] = dict(spec.env)
    if spec.mounts:
        extras["mounts"] = [
            {"data_name": mount.data_name, "target": mount.target} for mount in spec.mounts
        ]
    if spec.user:
        extras["user"] = spec.user
    if spec.network is not _DEFAULTS.network:
        extras["network"] = str(spec.network)
    for name in ("start_deadline_s", "prepare_deadline_s", "stop_grace_s", "run_timeout_s"):
        if getattr(spec, name) != getattr(_DEFAULTS, name):
            extras[name] = getattr(spec, name)
    if spec.on_disconnect != _DEFAULTS.on_disconnect:
        extras["on_disconnect"] = {"stop_after_s": spec.on_disconnect.stop_after_s}
    if spec.retry != _DEFAULTS.retry:
        extras["retry"] = asdict(spec.retry)
    return extras


def _resources(resources: Resources) -> dict[str, Any]:
    limits: dict[str, Any] = {
        name: getattr(resources, name)
        for name in ("cpus", "memory_bytes", "pids", "shm_bytes")
        if getattr(resources, name) is not None
    }
    if resources.gpus is not None:
        limits["gpus"] = _gpus(resources.gpus)
    return limits


def _gpus(gpus: GpuRequest) -> dict[str, Any]:
    asked: dict[str, Any] = (
        {"device_ids": list(gpus.device_ids)} if gpus.device_ids else {"count": gpus.count}
    )
    if gpus.capabilities != GpuRequest().capabilities:
        asked["capabilities"] = list(gpus.capabilities)
    return asked


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
