"""A connection whose end is known only by half: the database said goodbye, its socket is open."""

import asyncio
import contextlib
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg
import pytest
from sqlalchemy import text

from flow_contract.errors import Unavailable
from flow_server.storage.address import parse
from flow_server.storage.database import Database
from flow_server.storage.engine import make_engine
from flow_server.storage.statements import driver_of


async def pump(reader, writer):
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


@contextlib.asynccontextmanager
async def never_closing(url, folder):
    """Yield the URL of a proxy that passes all bytes on and hides that PostgreSQL hung up."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    path = f"{query['host']}/.s.PGSQL.{query.get('port', 5432)}"
    writers = []

    async def serve(reader, writer):
        there, onward = await asyncio.open_unix_connection(path)
        writers.extend((writer, onward))
        await asyncio.gather(pump(reader, onward), pump(there, writer))

    server = await asyncio.start_unix_server(serve, folder / ".s.PGSQL.5432")
    yield urlunsplit(parts._replace(query=urlencode({"host": folder})))
    server.close()
    for writer in writers:
        writer.close()
    for writer in writers:
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@pytest.fixture
async def database(database_url, open_dir):
    async with never_closing(database_url, open_dir) as url:
        engine = make_engine(parse(url), pool_size=1)
        yield Database(engine)
    # After the proxy: over it nobody would hear that the other side has hung up.
    await engine.dispose()


async def pid_of(connection):
    return (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()


async def end(database_url, pid):
    other = await asyncpg.connect(**parse(database_url).connect_args())
    await other.execute("SELECT pg_terminate_backend($1, 60000)", pid)
    await other.close()


async def work_on_a_dying_one(opened, database_url):
    async with opened() as connection:
        await end(database_url, await pid_of(connection))
        await driver_of(connection).fetch("SELECT 1")


@pytest.mark.parametrize("opened", ["transaction", "glance", "snapshot"])
async def test_who_comes_after_a_connection_that_died_is_served(database, database_url, opened):
    async with asyncio.timeout(60):
        with pytest.raises(Unavailable):
            await work_on_a_dying_one(getattr(database, opened), database_url)
        async with database.transaction() as connection:
            assert await pid_of(connection)


@pytest.mark.parametrize("opened", ["transaction", "glance"])
async def test_who_comes_after_one_who_was_cancelled_is_served(database, opened):
    asked = asyncio.Event()

    async def work():
        async with getattr(database, opened)() as connection:
            asked.set()
            await connection.execute(text("SELECT pg_sleep(60)"))

    async with asyncio.timeout(30):
        task = asyncio.create_task(work())
        await asked.wait()
        await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        async with database.transaction() as connection:
            assert await pid_of(connection)
