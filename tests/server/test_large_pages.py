"""Pages that hold much: answered whole, or refused with what to ask for instead."""

import pytest

from tests.server.flows import make_task


async def copies(engine, task_id, *, tasks, parties, message=""):
    """Put `tasks` copies of a task's run there, each with `parties` party runs that failed."""
    async with engine.begin() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO tasks (task_id, name, name_key, template_id, federate_data, latest_run_id)"
            " SELECT task_id || n, name || n, name || n, template_id, federate_data,"
            "        latest_run_id || n FROM tasks, generate_series(1, $2::int) n"
            " WHERE task_id = $1",
            (task_id, tasks),
        )
        await connection.exec_driver_sql(
            "INSERT INTO runs (run_id, task_id, number, snapshot, status, desired, ended_at,"
            "                  connect_deadline_at, prepare_deadline_at)"
            " SELECT run_id || n, task_id || n, 1, snapshot, 'Failed', 'stopped', now(),"
            "        now(), now() FROM runs, generate_series(1, $2::int) n WHERE task_id = $1",
            (task_id, tasks),
        )
        await connection.exec_driver_sql(
            "INSERT INTO party_runs (party_run_id, run_id, federated_id, rank, federated_data,"
            "                        desired, state, reason, message, finished_at)"
            " SELECT run_id || '-' || m, run_id, 'party-' || m, m, '', 'stopped', 'failed',"
            "        'exit_nonzero', $3::text, now()"
            " FROM runs, generate_series(1, $2::int) m WHERE task_id <> $1",
            (task_id, parties, message),
        )


@pytest.fixture
async def task_id(sdk, connect):
    await connect("hospital-a")
    task_id = await make_task(sdk, ["hospital-a"])
    await sdk.task.start(task_id)
    return task_id


async def test_a_page_of_many_parties_with_long_messages_is_answered(sdk, engine, task_id):
    await copies(engine, task_id, tasks=5, parties=2000, message="x" * 2000)
    answer = await sdk.task.list(1, 100)
    assert len(answer["data"]["tasks"]) == 6


async def test_a_page_with_more_party_runs_than_the_server_holds_is_refused(sdk, engine, task_id):
    await copies(engine, task_id, tasks=51, parties=1000)
    answer = await sdk.task.list(1, 100)
    assert answer["ret_code"] == 10000
    assert "limit" in answer["ret_msg"]
    assert (await sdk.task.list(1, 40))["ret_code"] == 0
