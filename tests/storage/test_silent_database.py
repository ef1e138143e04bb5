"""A database that is there and says nothing: its machine hangs, or the network swallows all."""

import asyncio
import contextlib
import os
import signal

import pytest
from sqlalchemy import text

from flow_contract.errors import Unavailable
from flow_server.storage.address import parse
from flow_server.storage.changes import Listener
from flow_server.storage.database import Database
from flow_server.storage.engine import make_engine


@contextlib.contextmanager
def silenced(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def backend(connection):
    return (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()


async def test_a_transaction_on_a_silent_connection_ends_and_the_next_one_works(database_url):
    engine = make_engine(parse(database_url), answer_timeout_s=0.5)
    database = Database(engine)
    async with database.transaction() as connection:
        pid = await backend(connection)
    with silenced(pid):
        async with asyncio.timeout(30):
            with pytest.raises(Unavailable):
                async with database.transaction() as connection:
                    await backend(connection)
            async with database.transaction() as connection:
                assert await backend(connection) != pid
            await engine.dispose()


async def test_a_silent_connection_in_the_middle_of_a_transaction_ends_it(database_url):
    engine = make_engine(parse(database_url), answer_timeout_s=0.5)
    database = Database(engine)

    async def fall_silent():
        async with database.transaction() as connection:
            with silenced(await backend(connection)):
                await backend(connection)

    async with asyncio.timeout(30):
        with pytest.raises(Unavailable):
            await fall_silent()
        await engine.dispose()


async def test_a_server_ends_though_its_database_is_silent(database_url):
    engine = make_engine(parse(database_url), answer_timeout_s=0.5)
    async with Database(engine).transaction() as connection:
        pid = await backend(connection)
    with silenced(pid):
        async with asyncio.timeout(30):
            await engine.dispose()


async def test_a_listener_that_hears_nothing_for_ever_notices(database_url, engine):
    listening = asyncio.Event()
    listener = Listener(
        parse(database_url),
        on_desired=print,
        on_observed=print,
        on_identity=print,
        on_logs=print,
        answer_timeout_s=0.5,
    )
    task = asyncio.create_task(listener.listen(listening.set))
    await asyncio.wait_for(listening.wait(), 30)
    async with engine.begin() as connection:
        pids = await connection.execute(
            text("SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = :name"),
            {"name": database_url.partition("?")[0].rpartition("/")[2]},
        )
        pid = pids.scalar_one()
    with silenced(pid):
        async with asyncio.timeout(30):
            with pytest.raises(TimeoutError):
                await task


async def test_a_listener_whose_database_answers_goes_on(database_url, engine):
    heard = asyncio.Event()
    listening = asyncio.Event()
    listener = Listener(
        parse(database_url),
        on_desired=lambda run_id: run_id == "late" and heard.set(),
        on_observed=print,
        on_identity=print,
        on_logs=print,
        answer_timeout_s=0.05,
    )
    task = asyncio.create_task(listener.listen(listening.set))
    await asyncio.wait_for(listening.wait(), 30)
    # Some questions and answers later.
    await asyncio.sleep(0.5)
    async with engine.begin() as connection:
        await connection.execute(text("SELECT pg_notify('fedflow_desired', 'late')"))
    await asyncio.wait_for(heard.wait(), 30)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
