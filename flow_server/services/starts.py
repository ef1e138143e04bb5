"""Start and stop: what a user wants, written down; agents hear of it by the rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from flow_contract import checks
from flow_contract.access import Caller
from flow_contract.errors import FlowError, Kind, PartyUnavailable
from flow_contract.reasons import Reason
from flow_contract.runs import Snapshot
from flow_contract.tasks import StartParameters, check_start
from flow_contract.templates import Template
from flow_server.domain.access import RULES, decide, owner_name
from flow_server.domain.placement import Presence
from flow_server.domain.rosters import Roster
from flow_server.domain.start import plan_start
from flow_server.services import transitions
from flow_server.services.batches import Batches
from flow_server.services.new_runs import new_run, presence_of
from flow_server.services.tasks import is_active, status_conflict
from flow_server.storage import changes, losses, new_runs, retries, runs, tasks, templates
from flow_server.storage.database import Connection, Database
from flow_server.storage.new_runs import NewRun
from flow_server.storage.runs import EarlierStart, LockedRun
from flow_server.storage.tasks import LockedTask

MAX_REQUEST_ID_LENGTH = 64


# Of starts at once; each run of a thousand parties takes some 100 ms of the database.
_IN_FLIGHT = 2
_MAX_BATCH = 100

# Told of each run before it is stored: its id, what it is started with, its members.
OnStoring: TypeAlias = Callable[[str, Snapshot, Roster], None]


def _tell_nobody(_run_id: str, _snapshot: Snapshot, _roster: Roster) -> None:
    pass


@dataclass(frozen=True, kw_only=True)
class _Request:
    task_id: str
    parameters: StartParameters
    request_id: str
    caller: Caller
    traceparent: str = ""


class StartService:
    """Starts and stops tasks. A repeated request id is answered, not repeated.

    Starts of different tasks that wait at the same moment are stored together.
    """

    def __init__(self, database: Database, *, on_storing: OnStoring = _tell_nobody) -> None:
        self._database = database
        self._on_storing = on_storing
        self._batches = Batches(
            self._store_all,
            in_flight=_IN_FLIGHT,
            most=_MAX_BATCH,
            key=lambda request: request.task_id,
        )

    async def start(
        self,
        task_id: str,
        parameters: StartParameters,
        *,
        request_id: str,
        caller: Caller,
        traceparent: str = "",
    ) -> str:
        """Accept a new run and return its id; all parties will start, or none.

        It takes the place of a retry that is due. `traceparent` is kept with it, for those who
        go on with it.

        Raises:
            NotFound: no such task, or its template is gone.
            Conflict: the task is active, or names no party.
            PartyUnavailable: a party has never connected; the refused run is in the history.
            InvalidArgument: names the parameter that has to change.
            Forbidden: it is another user's.
        """
        checks.text("task_id", task_id)
        checks.text("request_id", request_id, max_chars=MAX_REQUEST_ID_LENGTH)
        check_start(parameters)
        return await self._batches.submit(
            _Request(
                task_id=task_id,
                parameters=parameters,
                request_id=request_id,
                caller=caller,
                traceparent=traceparent,
            )
        )

    async def run(self) -> None:
        """Store what is to start until cancelled."""
        await self._batches.run()

    async def _store_all(self, requests: Sequence[_Request]) -> list[str | FlowError]:
        async def store(connection: Connection) -> list[str | FlowError]:
            rows = await _read(connection, requests)
            answers: list[str | FlowError] = []
            new: list[NewRun] = []
            for request in requests:
                try:
                    answers.append(await _decide(connection, request, rows, new))
                except FlowError as error:
                    answers.append(error)
            for run in new:
                self._on_storing(run.run_id, run.plan.snapshot, run.roster)
            if new:
                await new_runs.insert_runs(connection, new)
            return answers

        return await self._database.repeatable(store)

    async def stop(
        self, task_id: str, *, request_id: str, force: bool = False, caller: Caller
    ) -> list[str]:
        """Want the task's run stopped at every party; returns before they have.

        Return the parties that are lost: it reaches them when they are back. With `force` they
        are given up instead, and the run doesn't wait for them. A retry that is due is called
        off, and the task has then failed.

        Raises:
            NotFound: no such task.
            Conflict: the task is not active.
            Forbidden: it is another user's.
        """
        checks.text("task_id", task_id)
        checks.text("request_id", request_id, max_chars=MAX_REQUEST_ID_LENGTH)
        async with self._database.transaction() as connection:
            task = await tasks.lock_task(connection, task_id)
            decide(RULES["TaskService/Stop"], caller, task.owner)
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


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """What is stored about what is to start: tasks and their newest runs are held."""

    tasks: Mapping[str, LockedTask]
    earlier: Mapping[str, EarlierStart]
    newest: Mapping[str, LockedRun]
    templates: Mapping[str, Template]
    present: Mapping[str, Presence]


async def _read(connection: Connection, requests: Sequence[_Request]) -> _Rows:
    found = await tasks.lock_tasks(connection, [request.task_id for request in requests])
    newest = [task.run_id for task in found.values() if task.run_id]
    named = {party.federated_id for task in found.values() for party in task.spec.federate_data}
    used = await templates.templates_of(
        connection, list({task.spec.template_id for task in found.values()})
    )
    repeatable = [(request.task_id, request.request_id) for request in requests]
    return _Rows(
        tasks=found,
        earlier=await runs.started_by(connection, [one for one in repeatable if one[1]]),
        newest={run.task_id: run for run in await runs.lock_runs(connection, newest)},
        templates=used,
        present=await presence_of(connection, named, [template.spec for template in used.values()]),
    )


async def _decide(
    connection: Connection, request: _Request, rows: _Rows, new: list[NewRun]
) -> str | FlowError:
    """Return the answer; a run that is to be stored is appended to `new`."""
    task = rows.tasks.get(request.task_id)
    if task is None:
        raise tasks.not_found(request.task_id)
    decide(RULES["TaskService/Start"], request.caller, task.owner)
    earlier = rows.earlier.get(task.task_id)
    if earlier is not None:
        return _answer_of(earlier)
    newest = rows.newest.get(task.task_id)
    if newest is not None and not newest.retry_due and is_active(newest):
        raise status_conflict("the task is active; stop it or wait for its end", task.task_id)
    template = rows.templates.get(task.spec.template_id)
    if template is None:
        raise templates.not_found(task.spec.template_id)
    plan = plan_start(
        task=task.spec, template=template, parameters=request.parameters, present=rows.present
    )
    # Nothing is written for who is refused above: others of the batch are committed with it.
    if newest is not None and newest.retry_due:
        await _call_off(connection, newest, "A new start took the place of its retry.")
    run = new_run(
        task,
        plan,
        request_id=request.request_id,
        requested_by=owner_name(request.caller),
        traceparent=request.traceparent,
    )
    new.append(run)
    # Raised after it is stored: the history shows which party it was.
    return run.run_id if plan.refusal is None else plan.refusal


def _answer_of(earlier: EarlierStart) -> str | FlowError:
    if earlier.refused_at_start:
        return PartyUnavailable(earlier.message, kind=Kind.PARTY, field="federate_data")
    return earlier.run_id


async def _latest_run(connection: Connection, task: LockedTask) -> LockedRun | None:
    locked = await runs.lock_runs(connection, [task.run_id] if task.run_id else [])
    return locked[0] if locked else None


async def _call_off(connection: Connection, run: LockedRun, note: str) -> None:
    await retries.call_off(connection, run.run_id, note)
    await changes.notify_observed(connection, [run.task_id])
