"""Making the server hold what a file says: by name, and only what is missing or different."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flow_server_sdk.cli import finding
from flow_server_sdk.cli.asking import data_of
from flow_server_sdk.cli.flowfile.reading import FlowFile, TaskPart
from flow_server_sdk.payloads.templates import template_spec

if TYPE_CHECKING:
    from flow_server_sdk.client import FlowServerSdk

CREATED, UPDATED, UNCHANGED = "created", "updated", "unchanged"
# What the server knows of a template that a user does not write.
_OF_THE_SERVER = {"template_id", "create_time", "modify_time"}


@dataclass(frozen=True, kw_only=True)
class Applied:
    """One thing that the server now holds, and what was done for it."""

    id: str
    name: str
    action: str


def apply_template(sdk: "FlowServerSdk", fields: dict[str, Any]) -> Applied:
    """Create the template of this name, or update it if it differs."""
    known = finding.template_named(sdk, fields["name"])
    if known is None:
        made = data_of(sdk.template.create(**fields))["template_id"]
        return Applied(id=made, name=fields["name"], action=CREATED)
    template_id = known["template_id"]
    stored = {name: value for name, value in known.items() if name not in _OF_THE_SERVER}
    unset = dict.fromkeys(fields)
    if template_spec(**{**unset, **stored}) == template_spec(**fields):
        return Applied(id=template_id, name=known["name"], action=UNCHANGED)
    data_of(sdk.template.update(template_id, **fields))
    return Applied(id=template_id, name=fields["name"], action=UPDATED)


def apply_task(sdk: "FlowServerSdk", part: TaskPart, template_id: str) -> Applied:
    """Create the task of this name, or update it if it differs; a remark left out stays."""
    wanted: dict[str, Any] = {
        "name": part.name,
        "template_id": template_id,
        "remark": part.remark,
        "federate_data": part.federate_data,
    }
    known = finding.task_named(sdk, part.name)
    if known is None:
        made = data_of(sdk.task.create(**wanted))["task_id"]
        return Applied(id=made, name=part.name, action=CREATED)
    if part.remark is None:
        wanted["remark"] = known["remark"]
    if all(known[name] == value for name, value in wanted.items()):
        return Applied(id=known["task_id"], name=known["name"], action=UNCHANGED)
    data_of(sdk.task.update(known["task_id"], **wanted))
    return Applied(id=known["task_id"], name=part.name, action=UPDATED)


def apply_file(sdk: "FlowServerSdk", file: FlowFile) -> tuple[Applied | None, Applied]:
    """Return what was done for the template, None where the file has none, and for the task."""
    if file.task is None:
        raise ValueError("the file was read without asking for a task")
    if file.template is None:
        found = finding.find_template(sdk, file.task.template or "")
        return None, apply_task(sdk, file.task, found["template_id"])
    template = apply_template(sdk, file.template)
    return template, apply_task(sdk, file.task, template.id)
