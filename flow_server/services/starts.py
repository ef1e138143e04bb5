"""Start and stop: what a user wants, written down; agents hear of it by the rows."""

from flow_contract import checks
from flow_contract.errors import Kind, PartyUnavailable
from flow_contract.reasons import Reason
from flow_contract.tasks import StartParameters, check_start
from flow_server.domain.start import StartPlan, plan_start
from flow_server.services import transitions
from flow_server.services.new_runs import store_run
from flow_server.services.tasks import is_active, status_conflict
from flow_server.storage import changes, losses, parties, retries, runs, tasks, templates
from flow_server.storage.database import Connection, Database
from flow_server.storage.runs import LockedRun
from flow_server.storage.tasks import LockedTask

MAX_REQUEST_ID_LENGTH = 64


class StartService:
    """Starts and stops tasks. A repeated request id is answered, not repeated."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def start(self, task_id: str, parameters: StartParameters, *, request_id: str) -> str:
        """Accept a new run and return its id; all parties will start, or none.

        It takes the place of a retry that is due.

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
            await _make_way(connection, task)
            plan = await _plan(connection, task, parameters)
            run_id = await store_run(connection, task, plan, request_id=request_id)
        if plan.refusal is not None:
            raise plan.refusal
        return run_id

    async def stop(self, task_id: str, *, request_id: str, force: bool = False) -> list[str]:
        """Want the task's run stopped at every party; returns before they have.

        Return the parties that are lost: it reaches them when they are back. With `force` they
        are given up instead, and the run doesn't wait for them. A retry that is due is called
        off, and the task has then failed.

        Raises:
            NotFound: no such task.
            Conflict: the task is not active.
        """
        checks.text("task_id", task_id)
        checks.text("request_id", request_id, max_chars=MAX_REQUEST_ID_LENGTH)
        async with self._database.transaction() as connection:
            task = await tasks.lock_task(connection, task_id)
            if request_id and await runs.was_stopped_by(connection, task_id, request_id):
                return await losses.lost_parties(connection, task.run_id)
            run = await _latest_run(connection, task)
            if run is None or not is_active(run):
                raise status_conflict(
                    "the task is not active, so there is nothing to stop", task_id
                )
            if request_id:
                await runs.set_stop_request(connection, run.run_id, request_id)
            if run.retry_due:
                await _call_off(connection, run, "Its retry was called off on request.")
            elif run.facts.cause is not Reason.STOPPED_BY_USER:
                # Also where it is being rolled back: what is stopped on request is not repeated.
                await transitions.stop(connection, run, Reason.STOPPED_BY_USER)
            if force and await losses.give_up(connection, run.run_id):
                stopped = await runs.lock_runs(connection, [run.run_id])
                await transitions.settle(connection, stopped)
            return await losses.lost_parties(connection, run.run_id)


async def _answer_of(connection: Connection, task_id: str, request_id: str) -> str | None:
    if not request_id:
        return None
    earlier = await runs.find_started_run(connection, task_id, request_id)
    if earlier is None:
        return None
    if earlier.refused_at_start:
        raise PartyUnavailable(earlier.message, kind=Kind.PARTY, field="federate_data")
    return earlier.run_id


async def _latest_run(connection: Connection, task: LockedTask) -> LockedRun | None:
    locked = await runs.lock_runs(connection, [task.run_id] if task.run_id else [])
    return locked[0] if locked else None


async def _make_way(connection: Connection, task: LockedTask) -> None:
    run = await _latest_run(connection, task)
    if run is None:
        return
    if run.retry_due:
        await _call_off(connection, run, "A new start took the place of its retry.")
    elif is_active(run):
        raise status_conflict("the task is active; stop it or wait for its end", task.task_id)


async def _call_off(connection: Connection, run: LockedRun, note: str) -> None:
    await retries.call_off(connection, run.run_id, note)
    await changes.notify_observed(connection, [run.task_id])


async def _plan(connection: Connection, task: LockedTask, parameters: StartParameters) -> StartPlan:
    template = await templates.get_template(connection, task.spec.template_id)
    named = [party.federated_id for party in task.spec.federate_data]
    present = await parties.presence_of(connection, named)
    return plan_start(task=task.spec, template=template, parameters=parameters, present=present)
