"""Templates and tasks to measure with, made through the SDK like anybody's."""

import uuid
from collections.abc import Sequence
from typing import Any

from bench.processes import BenchError
from flow_server_sdk import FlowServerSdk


def data_of(answer: dict[str, Any]) -> Any:
    """Return an answer's data. Raises BenchError for a refusal."""
    if answer["ret_code"] != 0:
        raise BenchError(f"the server refused: {answer}")
    return answer.get("data")


def make_task(
    sdk: FlowServerSdk, *, image: str, command: Sequence[str], parties: Sequence[str]
) -> str:
    """Store a template and a task over these parties; return the task's id."""
    unique = uuid.uuid4().hex[:12]
    template = sdk.template.create(f"bench {unique}", image, "/", list(command))
    task = sdk.task.create(
        f"bench {unique}",
        data_of(template)["template_id"],
        "",
        [{"federated_id": party, "federated_data": ""} for party in parties],
    )
    return str(data_of(task)["task_id"])


def stop(sdk: FlowServerSdk, task_id: str) -> None:
    """Stop a task and wait until every party has."""
    data_of(sdk.task.stop(task_id))
    data_of(sdk.task.wait(task_id, timeout_s=300))
