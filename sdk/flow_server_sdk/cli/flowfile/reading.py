"""A file to what the SDK takes, or all that is wrong with it.

The form is checked here; what a value may be is the contract's to say, asked field by field, so
that one mistake does not hide the next.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from flow_contract.errors import InvalidArgument
from flow_contract.tasks import StartParameters, check_start, check_task
from flow_contract.template_checks import check_template
from flow_server_sdk.cli.exits import CommandFailed, Ended, Exit
from flow_server_sdk.cli.flowfile.fields import FILE, TEMPLATE
from flow_server_sdk.cli.flowfile.parsing import MAX_BYTES, parse
from flow_server_sdk.cli.flowfile.report import Report
from flow_server_sdk.cli.flowfile.scalars import UNREADABLE
from flow_server_sdk.payloads.tasks import task_spec
from flow_server_sdk.payloads.templates import template_spec

# With which a single field is judged.
_PLAIN: dict[str, Any] = {**dict.fromkeys(TEMPLATE.fields), "workdir": "", "command": []}
_ANY_COORDINATOR = {"ports": [1]}
_VALID = {**_PLAIN, "name": "name", "image_url": "image"}


@dataclass(frozen=True, kw_only=True)
class TaskPart:
    """The task of a file. `template` None means the file's own; `remark` None: left out."""

    name: str
    template: str | None
    remark: str | None
    federate_data: list[dict[str, str]]


@dataclass(frozen=True, kw_only=True)
class StartPart:
    """What a file says of a start; None means left out."""

    epochs: int | None = None
    hyper_parameter: list[str] | None = None
    enable_smpc: bool = False


@dataclass(frozen=True, kw_only=True)
class FlowFile:
    """What a file says; `template` holds every argument of `sdk.template.create`."""

    template: dict[str, Any] | None
    task: TaskPart | None
    start: StartPart


def read_flow_file(path: Path, *, needs: Collection[str]) -> FlowFile:
    """Return what the file says; `needs` are the sections that it must have.

    Raises:
        CommandFailed: it can't be read.
        Ended: there are mistakes in it.
    """
    try:
        with path.open("rb") as file:
            # One more, so that what is too large is seen to be.
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise CommandFailed(f"{path}: can't be read: {error.strerror}", Exit.USAGE) from None
    report = Report()
    found = _read(raw, report, needs)
    if report.problems or found is None:
        # Nothing before the first, so that editors find their way to each.
        raise Ended("\n".join(report.texts(str(path))), Exit.USAGE)
    return found


def as_pairs(given: dict[str, str] | list[str]) -> list[str]:
    """Return hyper-parameters as the SDK takes them, ["lr=0.1"]."""
    if isinstance(given, list):
        return given
    return [f"{name}={value}" for name, value in given.items()]


def _read(raw: bytes, report: Report, needs: Collection[str]) -> FlowFile | None:
    node = parse(raw, report)
    if node is None:
        return None
    document = FILE.read(node, "", report)
    if document is UNREADABLE:
        return None
    for section in needs:
        if section not in document and section not in report.lines:
            report.add(section, "is missing; add it", line=1)
    template = document.get("template")
    task = document.get("task")
    return FlowFile(
        template=None if template is None else _template(template, report),
        task=None if task is None else _task(task, report, has_template="template" in report.lines),
        start=_start(document.get("start", {}), report),
    )


def _template(given: dict[str, Any], report: Report) -> dict[str, Any]:
    fields = {**_PLAIN, **given}
    if "hyper_parameter" in given:
        fields["hyper_parameter"] = as_pairs(given["hyper_parameter"])
    for position, mount in enumerate(given.get("mounts", ())):
        alone = {**_VALID, "mounts": [mount]}
        _judge(
            f"template.mounts[{position}]",
            partial(_check_template, alone),
            report,
        )
    _judge_coordinator(given.get("coordinator", {}), report)
    for name in given:
        alone = {**_VALID, name: fields[name]}
        if name == "framework" and "template.coordinator" in report.lines:
            # It needs a coordinator, whatever that one is.
            alone["coordinator"] = _ANY_COORDINATOR
        _judge(
            f"template.{name}",
            partial(_check_template, alone),
            report,
            "template.",
        )
    return fields


def _judge_coordinator(given: dict[str, Any], report: Report) -> None:
    """Judge each field alone; those that say how it ends only make sense together."""
    for name in given.keys() - {"ends", "decides"}:
        alone = {**_VALID, "coordinator": {**_ANY_COORDINATOR, name: given[name]}}
        path = f"template.coordinator.{name}"
        _judge(path, partial(_check_template, alone), report, "template.")


def _task(given: dict[str, Any], report: Report, *, has_template: bool) -> TaskPart:
    parties = given.get("parties", {})
    data = dict.fromkeys(parties, "") if isinstance(parties, list) else parties
    part = TaskPart(
        name=given.get("name", "name"),
        template=given.get("template"),
        remark=given.get("remark"),
        federate_data=[
            {"federated_id": party, "federated_data": name} for party, name in data.items()
        ],
    )
    if "template" in given and has_template:
        report.add("task.template", "this file has a template of its own; leave one of them out")
    if "template" not in given and not has_template:
        report.add("task.template", "is missing; name one, or add a section template")
    for name in ("name", "remark"):
        alone = {name: getattr(part, name)}
        _judge(f"task.{name}", partial(_check_task, alone), report, "task.")
    for place, party in zip(_places(parties), part.federate_data, strict=False):
        _judge(place, partial(_check_task, {"federate_data": [party]}), report, None)
    if isinstance(parties, list):
        for position, party in enumerate(parties):
            if party in parties[:position]:
                report.add(f"task.parties[{position}]", f"{party!r} is named twice; once is enough")
    if not part.federate_data and "parties" in given:
        report.add("task.parties", "name one party at least")
    return part


def _places(parties: dict[str, str] | list[str]) -> list[str]:
    if isinstance(parties, list):
        # Each is judged once, where it stands first.
        return [f"task.parties[{parties.index(party)}]" for party in dict.fromkeys(parties)]
    return [f"task.parties[{party}]" for party in parties]


def _check_template(fields: dict[str, Any]) -> None:
    check_template(template_spec(**fields))


def _check_task(fields: dict[str, Any]) -> None:
    plain: dict[str, Any] = {"name": "name", "template_id": "", "remark": None, "federate_data": []}
    check_task(task_spec(**{**plain, **fields}))


def _start(given: dict[str, Any], report: Report) -> StartPart:
    pairs = given.get("hyper_parameter")
    part = StartPart(
        epochs=given.get("epochs"),
        hyper_parameter=None if pairs is None else as_pairs(pairs),
        enable_smpc=given.get("enable_smpc", False),
    )
    if part.epochs is not None:
        epochs = StartParameters(epochs=part.epochs)
        _judge("start.epochs", partial(check_start, epochs), report)
    if part.hyper_parameter is not None:
        pairs_given = StartParameters(hyper_parameter=tuple(part.hyper_parameter))
        _judge(
            "start.hyper_parameter",
            partial(check_start, pairs_given),
            report,
        )
    return part


def _judge(
    path: str, check: Callable[[], None], report: Report, section: str | None = None
) -> None:
    """Note what the contract says of a field; `section` comes before the name that it gives."""
    if report.is_spoilt(path):
        return
    try:
        check()
    except InvalidArgument as error:
        message = error.message.removeprefix(f"{error.field}: ")
        report.add(f"{section}{error.field}" if section and error.field else path, message)
