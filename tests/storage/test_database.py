"""Transactions are repeated where PostgreSQL says that they were rolled back, and nowhere else."""

import asyncio

import asyncpg
import pytest
from sqlalchemy import text

from flow_contract.errors import Unavailable
from flow_server.storage.database import Database, StatementRefused


@pytest.fixture
async def database(engine):
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE cell (name text PRIMARY KEY, value int)"))
        await connection.execute(text("INSERT INTO cell VALUES ('a', 0), ('b', 0)"))
    return Database(engine)


def add_to(connection, name):
    return connection.execute(
        text("UPDATE cell SET value = value + 1 WHERE name = :name"), {"name": name}
    )


async def values(database):
    async with database.transaction() as connection:
        rows = await connection.execute(text("SELECT value FROM cell ORDER BY name"))
        return list(rows.scalars())


async def deadlock(database, do):
    """Lock two rows in opposite orders at the same moment; return how often work began."""
    both_hold_one = asyncio.Barrier(2)
    begun = 0

    def work(first, second):
        met = False

        async def step(connection):
            nonlocal begun, met
            begun += 1
            await add_to(connection, first)
            if not met:
                met = True
                await both_hold_one.wait()
            await add_to(connection, second)

        return step

    outcomes = await asyncio.gather(do(work("a", "b")), do(work("b", "a")), return_exceptions=True)
    return begun, [type(outcome) for outcome in outcomes if outcome is not None]


async def test_who_loses_a_deadlock_does_its_work_again(database):
    assert await deadlock(database, database.repeatable) == (3, [])
    assert await values(database) == [2, 2]


async def test_a_plain_transaction_that_loses_a_deadlock_is_unavailable(database):
    async def once(work):
        async with database.transaction() as connection:
            await work(connection)

    assert await deadlock(database, once) == (2, [Unavailable])
    assert await values(database) == [1, 1]


async def test_who_loses_again_and_again_gives_up(database):
    begun = 0

    async def overtaken(connection):
        nonlocal begun
        begun += 1
        await add_to(connection, "a")
        await connection.execute(text("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$"))

    with pytest.raises(Unavailable):
        await database.repeatable(overtaken)
    assert begun == 5
    assert await values(database) == [0, 0]


async def test_a_connection_that_broke_is_not_followed_by_a_second_try(database, cluster):
    begun = 0

    async def cut_off(connection):
        nonlocal begun
        begun += 1
        pid = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar()
        other = await asyncpg.connect(cluster.url("postgres"))
        await other.execute("SELECT pg_terminate_backend($1, 60000)", pid)
        await other.close()
        await add_to(connection, "a")

    with pytest.raises(Unavailable):
        await database.repeatable(cut_off)
    assert begun == 1


async def test_a_broken_rule_is_said_at_once(database):
    begun = 0

    async def wrong(connection):
        nonlocal begun
        begun += 1
        await connection.execute(text("INSERT INTO cell VALUES ('a', 1)"))

    with pytest.raises(StatementRefused):
        await database.repeatable(wrong)
    assert begun == 1
