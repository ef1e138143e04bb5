"""Making a new run of a task, whoever wants it."""

from flow_contract.ids import new_id
from flow_server.domain.start import StartPlan
from flow_server.storage.new_runs import NewRun
from flow_server.storage.runs import Repeat
from flow_server.storage.tasks import LockedTask


def new_run(
    task: LockedTask,
    plan: StartPlan,
    *,
    requested_by: str,
    request_id: str = "",
    repeats: Repeat | None = None,
    traceparent: str = "",
) -> NewRun:
    """Return the planned run as the one that follows the locked task's newest."""
    return NewRun(
        run_id=new_id(),
        task_id=task.task_id,
        number=task.run_count + 1,
        requested_by=requested_by,
        plan=plan,
        request_id=request_id,
        repeats=repeats,
        traceparent=traceparent,
    )
