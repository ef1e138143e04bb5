"""A run moves only as the lifecycle tables say: the SQL that moves it asks them."""

import itertools

import pytest
from sqlalchemy import text

from flow_contract.lifecycle import Desired, RunStatus, is_final_status, may_desire, may_fold
from flow_contract.reasons import Reason
from flow_server.domain.fold import RunFacts
from flow_server.storage import runs
from flow_server.storage.database import Database, StatementRefused
from flow_server.storage.run_moves import Move, move_runs

SIDES = list(itertools.product(RunStatus, Desired))


class Undo(Exception):
    """Ends a transaction without a trace."""


@pytest.fixture
async def database(engine):
    async with engine.begin() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO tasks (task_id, name, name_key, template_id, federate_data)"
            " VALUES ('task', 'Train', 'train', 'tpl', '[]')"
        )
        await connection.exec_driver_sql(
            "INSERT INTO runs (run_id, task_id, number, snapshot, status, desired,"
            "                  connect_deadline_at, prepare_deadline_at)"
            " VALUES ('run', 'task', 1, '{}', 'Started', 'prepared', now(), now())"
        )
    return Database(engine)


async def moves(database, status, desired, facts):
    """Say whether a run that is stored so may become `facts`."""
    try:
        async with database.transaction() as connection:
            await connection.execute(
                text(
                    "UPDATE runs SET status = :status, desired = :desired,"
                    " launch_ordered_at = now(), ended_at = CASE WHEN :final THEN now() END"
                ),
                {"status": status, "desired": desired, "final": is_final_status(status)},
            )
            (run,) = await runs.lock_runs(connection, ["run"])
            await move_runs(connection, [Move(run=run, facts=facts)], observed=[])
            raise Undo
    except Undo:
        return True
    except StatementRefused:
        return False


async def test_the_sql_knows_exactly_the_moves_of_the_tables(database):
    for (status, desired), (folded, aimed) in itertools.product(SIDES, SIDES):
        facts = RunFacts(status=folded, desired=aimed, cause=Reason.NONE)
        is_legal = (folded is status or may_fold(status, folded)) and (
            aimed is desired or may_desire(desired, aimed)
        )
        told = f"{status}, {desired} to {folded}, {aimed}"
        assert await moves(database, status, desired, facts) is is_legal, told
