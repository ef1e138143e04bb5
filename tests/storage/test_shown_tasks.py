"""A page of tasks costs as many statements as one task does, and reads what it shows."""

import pytest

from flow_server.storage import shown_tasks
from flow_server.storage.database import Database
from flow_server.storage.statements import driver_of

TASKS, PARTIES = 200, 20


@pytest.fixture
async def database(engine):
    async with engine.begin() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO tasks (task_id, name, name_key, template_id, federate_data, latest_run_id)"
            " SELECT 't' || n, 't' || n, 't' || n, 'tpl', '[]', 'r' || n"
            " FROM generate_series(1, $1::int) n",
            (TASKS,),
        )
        # Two runs each: the older one is not shown.
        await connection.exec_driver_sql(
            "INSERT INTO runs (run_id, task_id, number, snapshot, status, desired, ended_at,"
            "                  connect_deadline_at, prepare_deadline_at)"
            " SELECT age || n, 't' || n, number, '{}', 'Failed', 'stopped', now(), now(), now()"
            " FROM generate_series(1, $1::int) n, (VALUES ('o', 1), ('r', 2)) AS a(age, number)",
            (TASKS,),
        )
        await connection.exec_driver_sql(
            "INSERT INTO party_runs (party_run_id, run_id, federated_id, rank, federated_data,"
            "                        desired, state, reason, finished_at)"
            " SELECT run_id || '-' || m, run_id, 'party-' || m, m, '', 'stopped', 'failed',"
            "        'exit_nonzero', now() FROM runs, generate_series(1, $1::int) m",
            (PARTIES,),
        )
    return Database(engine)


async def listed(database, limit):
    """Return the tasks of a page, and the statements that it took."""
    statements = []
    async with database.snapshot() as connection:
        # Only what is logged while the page is read.
        with driver_of(connection).query_logger(lambda record: statements.append(record.query)):
            tasks, count = await shown_tasks.list_tasks(
                connection, federated_id="", owner=None, offset=0, limit=limit
            )
    assert count == TASKS
    return tasks, statements


async def test_a_page_takes_three_statements_however_long_it_is(database):
    for limit in (1, TASKS):
        tasks, statements = await listed(database, limit)
        assert len(tasks) == limit
        assert len(statements) == 3


async def test_a_page_shows_the_parties_of_each_newest_run_and_no_other(database):
    tasks, _ = await listed(database, TASKS)
    for task in tasks:
        assert {party_run.run_id for party_run in task.party_runs} == {task.run_id}
        assert [party_run.rank for party_run in task.party_runs] == list(range(1, PARTIES + 1))
