"""Stored things as the server sends them, with the values of the original's documentation."""

from datetime import UTC, datetime

from flow_contract.lifecycle import Desired, PartyRunState, RunStatus
from flow_contract.parties import Inventory, Party
from flow_contract.reasons import Reason
from flow_contract.runs import PartyRun, Run, Snapshot
from flow_contract.tasks import PartyData, Task, TaskSpec
from flow_contract.templates import Template, TemplateSpec

TEMPLATE_ID = "20f42769b99b492691da1ba2f236b1"
TASK_ID = "0578abed1032425499abd20f2ef67938"
RUN_ID = "b1731d312dae4edba6d07a6fff547b4a"

TEMPLATE_SPEC = TemplateSpec(
    name="template_003",
    remark="template test",
    image_url="pytorch_ocr:latest",
    workdir="/data/ocr",
    command=("python", "run.py"),
    hyper_parameter=("epoch=1",),
)
TEMPLATE = Template(
    template_id=TEMPLATE_ID,
    spec=TEMPLATE_SPEC,
    create_time=datetime(2022, 7, 25, 15, 59, 55, 999_000, tzinfo=UTC),
    modify_time=datetime(2022, 7, 25, 15, 59, 55, tzinfo=UTC),
)
TEMPLATE_DICT = {
    "name": "template_003",
    "remark": "template test",
    "image_url": "pytorch_ocr:latest",
    "workdir": "/data/ocr",
    "command": ["python", "run.py"],
    "hyper_parameter": ["epoch=1"],
    "template_id": "20f42769b99b492691da1ba2f236b1",
    "create_time": "Mon, 25 Jul 2022 15:59:55 -0000",
    "modify_time": "Mon, 25 Jul 2022 15:59:55 -0000",
}


def party_run(state: PartyRunState = PartyRunState.RUNNING, **changes: object) -> PartyRun:
    fields: dict[str, object] = {
        "party_run_id": "c" * 32,
        "run_id": RUN_ID,
        "federated_id": "federate-1",
        "rank": 0,
        "federated_data": "aa",
        "desired": Desired.RUNNING,
        "state": state,
        "reason": Reason.NONE,
        "message": "",
    }
    return PartyRun(**(fields | changes))


def task(status: RunStatus | None = None, *party_runs: PartyRun, run_id: str = RUN_ID) -> Task:
    return Task(
        task_id=TASK_ID,
        spec=TaskSpec(
            name="testCase",
            template_id="ea0f10bfbaf64a74a061d54c94cc69",
            remark="This is a remark.",
            federate_data=(PartyData(federated_id="federate-1", federated_data="aa"),),
        ),
        status=status,
        run_id=None if status is None else run_id,
        run_message="",
        party_runs=None if status is None else party_runs,
        create_time=datetime(2022, 7, 25, 20, 31, 21, tzinfo=UTC),
        modify_time=datetime(2022, 7, 25, 20, 31, 21, tzinfo=UTC),
    )


TASK_DICT = {
    "create_time": "Mon, 25 Jul 2022 20:31:21 -0000",
    "federate_data": [{"federated_data": "aa", "federated_id": "federate-1"}],
    "modify_time": "Mon, 25 Jul 2022 20:31:21 -0000",
    "name": "testCase",
    "party_status": None,
    "remark": "This is a remark.",
    "status": None,
    "task_id": "0578abed1032425499abd20f2ef67938",
    "template_id": "ea0f10bfbaf64a74a061d54c94cc69",
}


def run(status: RunStatus = RunStatus.SUCCEEDED, run_id: str = RUN_ID) -> Run:
    return Run(
        run_id=run_id,
        task_id=TASK_ID,
        number=1,
        status=status,
        message="All parties succeeded.",
        snapshot=Snapshot(
            template_id=TEMPLATE_ID,
            template=TEMPLATE_SPEC,
            epochs=4,
            hyper_parameter=("epoch=1",),
            enable_smpc=False,
        ),
        party_runs=(party_run(PartyRunState.SUCCEEDED, exit_code=0),),
        created_at=datetime(2026, 11, 21, 6, 47, 51, tzinfo=UTC),
        ended_at=datetime(2026, 11, 21, 6, 48, 1, tzinfo=UTC),
    )


PARTY = Party(
    federated_id="federate-1",
    name="North hospital",
    connected=True,
    inventory=Inventory(
        runtime="docker",
        agent_version="0.1.0",
        cpus=2.0,
        memory_bytes=4 * 1024**3,
        gpu_ids=("0", "1"),
        data_names=("scans",),
    ),
    first_seen_at=datetime(2026, 11, 21, 6, 47, 51, tzinfo=UTC),
    last_seen_at=datetime(2026, 11, 21, 6, 48, 1, tzinfo=UTC),
)
