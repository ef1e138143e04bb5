"""Start and stop: what a user wants, written down; agents hear of it by the rows."""

from flow_contract import checks
from flow_contract.errors import Kind, PartyUnavailable
from flow_contract.ids import new_id
from flow_contract.lifecycle import Desired, is_final_status
from flow_contract.reasons import Reason
from flow_contract.tasks import StartParameters, check_start
from flow_server.domain.start import StartPlan, plan_start
from flow_server.services import transitions
from flow_server.services.tasks import is_active, status_conflict
from flow_server.storage import changes, parties, party_runs, runs, tasks, templates
from flow_server.storage.database import Connection, Database
from flow_server.storage.tasks import LockedTask

MAX_REQUEST_ID_LENGTH = 64


class StartService:
    """Starts and stops tasks. A repeated request id is answered, not repeated."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def start(self, task_id: str, parameters: StartParameters, *, request_id: str) -> str:
        """Accept a new run and return its id; all parties will start, or none.

        Raises:
            NotFound: no such task, or its template is gone.
            Conflict: the task is active, or names no party.
            PartyUnavailable: a party has never connected; the refused run is in the history.
            InvalidArgument: names the parameter that has to change.
        """
        checks.text("task_id", task_id)
        checks.text("request_id", request_id, max_chars=MAX_REQUEST_ID_LENGTH)
        check_start(parameters)
        async with self._database.transaction() as connection:
            task = await tasks.lock_task(connection, task_id)
            earlier = await _answer_of(connection, task_id, request_id)
            if earlier is not None:
                return earlier
            if task.run_id is not None and await is_active(connection, task.run_id):
                raise status_conflict("the task is active; stop it or wait for its end", task_id)
            plan = await _plan(connection, task, parameters)
            run_id = await _store(connection, task, plan, request_id)
        if plan.refusal is not None:
            raise plan.refusal
        return run_id

    async def stop(self, task_id: str, *, request_id: str) -> None:
        """Want the task's run stopped at every party; returns before they have.

        Raises:
            NotFound: no such task.
            Conflict: the task is not active.
        """
        checks.text("task_id", task_id)
        checks.text("request_id", request_id, max_chars=MAX_REQUEST_ID_LENGTH)
        async with self._database.transaction() as connection:
            task = await tasks.lock_task(connection, task_id)
            if request_id and await runs.was_stopped_by(connection, task_id, request_id):
                return
            locked = await runs.lock_runs(connection, [task.run_id] if task.run_id else [])
            if not locked or is_final_status(locked[0].facts.status):
                raise status_conflict(
                    "the task is not active, so there is nothing to stop", task_id
                )
            if request_id:
                await runs.set_stop_request(connection, locked[0].run_id, request_id)
            if locked[0].facts.desired is not Desired.STOPPED:
                await transitions.stop(connection, locked[0], Reason.STOPPED_BY_USER)


async def _answer_of(connection: Connection, task_id: str, request_id: str) -> str | None:
    if not request_id:
        return None
    earlier = await runs.find_started_run(connection, task_id, request_id)
    if earlier is None:
        return None
    if earlier.refused_at_start:
        raise PartyUnavailable(earlier.message, kind=Kind.PARTY, field="federate_data")
    return earlier.run_id


async def _plan(connection: Connection, task: LockedTask, parameters: StartParameters) -> StartPlan:
    template = await templates.get_template(connection, task.spec.template_id)
    named = [party.federated_id for party in task.spec.federate_data]
    present = await parties.presence_of(connection, named)
    return plan_start(task=task.spec, template=template, parameters=parameters, present=present)


async def _store(connection: Connection, task: LockedTask, plan: StartPlan, request_id: str) -> str:
    run_id = new_id()
    number = task.run_count + 1
    await runs.insert_run(
        connection,
        run_id=run_id,
        task_id=task.task_id,
        number=number,
        request_id=request_id,
        plan=plan,
    )
    await party_runs.insert_party_runs(
        connection, run_id, plan.party_runs, desired=plan.desired, cause=plan.cause
    )
    await tasks.set_latest_run(connection, task.task_id, run_id=run_id, run_count=number)
    await changes.notify_desired(connection, [run_id])
    await changes.notify_observed(connection, [task.task_id])
    return run_id
