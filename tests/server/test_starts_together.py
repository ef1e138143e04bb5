"""Starts that come at the same moment are stored together, and nobody pays for another's."""

import asyncio
import contextlib

import pytest

from flow_contract.access import ROLE_RIGHTS, Caller, CallerKind, Role
from flow_contract.errors import Conflict, Forbidden, NotFound, PartyUnavailable
from flow_contract.tasks import PartyData, StartParameters, TaskSpec
from flow_contract.templates import TemplateSpec
from flow_server.services.starts import StartService
from flow_server.services.tasks import TaskService
from flow_server.services.templates import TemplateService
from flow_server.storage.database import Database
from tests.chaos.callers import LOCAL


@contextlib.asynccontextmanager
async def working(service):
    task = asyncio.create_task(service.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def start_all(service, requests, callers=()):
    """Start these (task id, request id) at once; return the answers and errors."""
    asked = [
        asyncio.create_task(
            service.start(task_id, StartParameters(), request_id=request_id, caller=caller)
        )
        for (task_id, request_id), caller in zip(
            requests, callers or [LOCAL] * len(requests), strict=True
        )
    ]
    await asyncio.sleep(0)
    async with working(service):
        return await asyncio.gather(*asked, return_exceptions=True)


async def make_tasks(engine, parties_of_each, caller=LOCAL):
    database = Database(engine)
    template_id = await TemplateService(database).create(
        TemplateSpec(name="template", image_url="image:1"), caller=caller
    )
    return [
        await TaskService(database).create(
            TaskSpec(
                name=f"task {number}",
                template_id=template_id,
                federate_data=tuple(
                    PartyData(federated_id=party, federated_data="") for party in parties
                ),
            ),
            caller=caller,
        )
        for number, parties in enumerate(parties_of_each)
    ]


@pytest.fixture
def stored():
    return []


@pytest.fixture
def service(engine, stored):
    return StartService(
        Database(engine), on_storing=lambda run_id, _snapshot, _parties: stored.append(run_id)
    )


async def transactions_of_runs(engine):
    async with engine.begin() as connection:
        rows = await connection.exec_driver_sql("SELECT run_id, xmin::text FROM runs")
        return {row.run_id: row.xmin for row in rows}


async def test_starts_of_different_tasks_are_one_transaction(service, engine, connect):
    await connect("hospital-a")
    task_ids = await make_tasks(engine, [["hospital-a"]] * 20)
    run_ids = await start_all(service, [(task_id, "") for task_id in task_ids])
    stored_by = await transactions_of_runs(engine)
    assert set(stored_by) == set(run_ids)
    assert len(set(stored_by.values())) == 1


async def test_each_start_gets_its_own_answer(service, engine, connect, stored):
    await connect("hospital-a")
    good, unknown, empty = await make_tasks(engine, [["hospital-a"], ["nowhere"], []])
    answers = await start_all(service, [(good, ""), (unknown, ""), (empty, ""), ("f" * 32, "")])
    assert [type(answer) for answer in answers] == [str, PartyUnavailable, Conflict, NotFound]
    # The refused attempt is kept too, and nothing else.
    assert set(await transactions_of_runs(engine)) == set(stored)
    assert len(stored) == 2


async def test_two_starts_of_one_task_at_once_make_one_run(service, engine, connect):
    await connect("hospital-a")
    (task_id,) = await make_tasks(engine, [["hospital-a"]])
    answers = await start_all(service, [(task_id, "ask-1"), (task_id, "ask-1"), (task_id, "")])
    assert answers[0] == answers[1]
    assert isinstance(answers[2], Conflict)
    assert set(await transactions_of_runs(engine)) == {answers[0]}


async def test_who_may_not_start_a_task_is_refused_among_those_who_may(service, engine, connect):
    await connect("hospital-a")
    ana, rob = (
        Caller(kind=CallerKind.USER, name=name, rights=ROLE_RIGHTS[Role.RESEARCHER])
        for name in ("ana", "rob")
    )
    one, other = await make_tasks(engine, [["hospital-a"]] * 2, caller=ana)
    answers = await start_all(service, [(one, ""), (other, "")], [ana, rob])
    assert isinstance(answers[0], str)
    assert isinstance(answers[1], Forbidden)
    assert set(await transactions_of_runs(engine)) == {answers[0]}
