"""Tasks: a template bound to parties and their data, and the parameters of a start."""

from dataclasses import dataclass
from datetime import datetime

from flow_contract import checks
from flow_contract.errors import EmptyName, InvalidArgument, Kind
from flow_contract.ids import is_party_id
from flow_contract.lifecycle import RunStatus
from flow_contract.runs import PartyRun
from flow_contract.template_checks import MAX_HYPER_PARAMETER_BYTES, NAME_LENGTH, check_length

MAX_REMARK_BYTES = 65_535
MAX_FEDERATED_DATA_LENGTH = 4096
MAX_PARTIES = 10_000
MAX_EPOCHS = 1_000_000_000
DEFAULT_EPOCHS = 10


@dataclass(frozen=True, kw_only=True)
class PartyData:
    """One party of a task and the name of its data there ("" for none)."""

    federated_id: str
    federated_data: str = ""


@dataclass(frozen=True, kw_only=True)
class TaskSpec:
    """All that a user writes into a task. `remark` None means left out."""

    name: str
    template_id: str
    remark: str | None = None
    federate_data: tuple[PartyData, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Task:
    """A stored task with the status of its latest run.

    `status` and `party_runs` are None before the first start. Times are aware UTC;
    `modify_time` also moves with the status. `owner` is the user who made it, empty where users
    were not asked who they are.
    """

    task_id: str
    spec: TaskSpec
    status: RunStatus | None
    run_id: str | None
    run_message: str
    party_runs: tuple[PartyRun, ...] | None
    create_time: datetime
    modify_time: datetime
    owner: str = ""


@dataclass(frozen=True, kw_only=True)
class StartParameters:
    """What a start may set. `hyper_parameter` None means the template's own."""

    epochs: int = DEFAULT_EPOCHS
    hyper_parameter: tuple[str, ...] | None = None
    enable_smpc: bool = False


def check_task(spec: TaskSpec) -> None:
    """Accept what can be stored. Whether template and parties exist is asked at start.

    Raises:
        EmptyName: the name is empty.
        InvalidArgument: names the first field that has to change.
    """
    if not spec.name.strip():
        raise EmptyName(
            "empty task name; please set the name parameter", kind=Kind.TASK, field="name"
        )
    check_length("name", spec.name, NAME_LENGTH)
    checks.text("name", spec.name)
    checks.text("template_id", spec.template_id, max_chars=32)
    checks.text("remark", spec.remark or "", max_bytes=MAX_REMARK_BYTES)
    if len(spec.federate_data) > MAX_PARTIES:
        raise InvalidArgument(
            f"federate_data: more than {MAX_PARTIES} parties", field="federate_data"
        )
    seen: set[str] = set()
    for position, party in enumerate(spec.federate_data):
        field = f"federate_data[{position}]"
        if not is_party_id(party.federated_id):
            raise InvalidArgument(
                f"{field}.federated_id: {party.federated_id[:80]!r} is not a party id "
                "(1 to 63 letters, digits, '_', '.' or '-')",
                field=f"{field}.federated_id",
            )
        if party.federated_id in seen:
            raise InvalidArgument(
                f"{field}.federated_id: {party.federated_id!r} is named twice; once is enough",
                field=f"{field}.federated_id",
            )
        seen.add(party.federated_id)
        checks.text(
            f"{field}.federated_data", party.federated_data, max_chars=MAX_FEDERATED_DATA_LENGTH
        )


def check_start(parameters: StartParameters) -> None:
    """Accept the parameters of a start.

    Raises:
        InvalidArgument: names the field that has to change.
    """
    checks.number("epochs", parameters.epochs, least=0, most=MAX_EPOCHS)
    checks.texts(
        "hyper_parameter", parameters.hyper_parameter or (), max_bytes=MAX_HYPER_PARAMETER_BYTES
    )
