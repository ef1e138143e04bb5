"""Storing a new run of a task, whoever wants it, with the wake-ups."""

from flow_contract.ids import new_id
from flow_server.domain.start import StartPlan
from flow_server.storage import changes, party_runs, runs, tasks
from flow_server.storage.database import Connection
from flow_server.storage.runs import Repeat
from flow_server.storage.tasks import LockedTask


async def store_run(
    connection: Connection,
    task: LockedTask,
    plan: StartPlan,
    *,
    request_id: str = "",
    requested_by: str,
    repeats: Repeat | None = None,
) -> str:
    """Store the planned run as the task's newest and return its id."""
    run_id = new_id()
    number = task.run_count + 1
    await runs.insert_run(
        connection,
        run_id=run_id,
        task_id=task.task_id,
        number=number,
        request_id=request_id,
        requested_by=requested_by,
        plan=plan,
        repeats=repeats,
    )
    await party_runs.insert_party_runs(
        connection, run_id, plan.party_runs, desired=plan.desired, cause=plan.cause
    )
    await tasks.set_latest_run(connection, task.task_id, run_id=run_id, run_count=number)
    await changes.notify_desired(connection, [run_id])
    await changes.notify_observed(connection, [task.task_id])
    return run_id
