"""The engine connects as the URL says, keeps its limits, and a bad start is said clearly."""

import asyncio
import time

import asyncpg
import pytest
from sqlalchemy import literal, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError

from flow_contract.errors import InvalidArgument, Unavailable
from flow_server.storage.address import parse
from flow_server.storage.embedded import EmbeddedPostgres
from flow_server.storage.engine import make_engine, wait_for_database


async def test_documents_come_back_as_they_were_stored(engine):
    document = {"name": "Zoë 日本", "parts": [1, 2.5, None, True, {"deep": "\\u0041 \n"}]}
    async with engine.connect() as connection:
        assert (await connection.execute(select(literal(document, JSONB)))).scalar() == document


async def test_a_document_with_nan_is_refused_before_it_reaches_the_database(engine):
    async with engine.connect() as connection:
        with pytest.raises(Exception, match="not JSON compliant"):
            await connection.execute(select(literal({"loss": float("nan")}, JSONB)))


async def test_a_statement_that_takes_too_long_is_ended(database_url):
    engine = make_engine(parse(database_url), statement_timeout_s=0.1)
    try:
        async with engine.connect() as connection:
            with pytest.raises(DBAPIError, match="statement timeout"):
                await connection.execute(text("SELECT pg_sleep(600)"))
    finally:
        await engine.dispose()


async def test_times_are_utc_and_settings_of_the_url_win(database_url):
    engine = make_engine(parse(database_url + "&application_name=mine"))
    query = "SELECT current_setting('timezone'), current_setting('application_name')"
    try:
        async with engine.connect() as connection:
            assert (await connection.execute(text(query))).one() == ("UTC", "mine")
    finally:
        await engine.dispose()


async def test_error_texts_hold_no_stored_values(engine):
    async with engine.connect() as connection:
        with pytest.raises(DBAPIError) as caught:
            await connection.execute(
                text("SELECT 1 / :zero + length(:name)"), {"zero": 0, "name": "Ann"}
            )
    assert "Ann" not in str(caught.value)


async def test_a_connection_that_broke_is_replaced_unseen(engine, cluster):
    async with engine.connect() as connection:
        pid = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar()
    other = await asyncpg.connect(cluster.url("postgres"))
    await other.execute("SELECT pg_terminate_backend($1, 60000)", pid)
    await other.close()
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT pg_backend_pid()"))).scalar() != pid


async def test_a_connection_that_cant_be_made_is_an_os_error_whatever_the_reason(database_url):
    missing = database_url.replace("/test_", "/gone_")
    engine = make_engine(parse(missing))
    with pytest.raises(ConnectionError, match="does not exist"):
        async with engine.connect():
            pass
    await engine.dispose()


async def test_waiting_ends_once_the_database_answers(database_url):
    await wait_for_database(parse(database_url), timeout_s=60)


@pytest.mark.postgres
async def test_waiting_outlasts_a_database_that_starts_late(open_dir):
    postgres = EmbeddedPostgres(open_dir / "pg", extra_settings={"fsync": "off"})
    url = await postgres.start()
    await postgres.aclose()
    later = EmbeddedPostgres(open_dir / "pg", extra_settings={"fsync": "off"})
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(wait_for_database(parse(url), timeout_s=120))
            group.create_task(later.start())
    finally:
        await later.aclose()


async def test_waiting_gives_up_with_the_address_and_the_reason(tmp_path):
    address = parse(f"postgresql://ann:s3cret@/flow?host={tmp_path}")
    started = time.monotonic()
    with pytest.raises(Unavailable, match=f"host={tmp_path} within 1 s: .*No such file") as caught:
        await wait_for_database(address, timeout_s=1)
    assert time.monotonic() - started >= 0.9
    assert "s3cret" not in caught.value.message


async def test_a_database_that_does_not_exist_is_said_at_once(database_url):
    address = parse(database_url.replace("/test_", "/gone_"))
    with pytest.raises(InvalidArgument, match=r"gone_.* does not exist"):
        await wait_for_database(address, timeout_s=600)


async def test_a_setting_that_the_server_does_not_know_is_said_at_once(database_url):
    with pytest.raises(InvalidArgument, match='unrecognized configuration parameter "colour"'):
        await wait_for_database(parse(database_url + "&colour=red"), timeout_s=600)


async def test_a_sslmode_that_nobody_knows_is_said_at_once(database_url):
    with pytest.raises(InvalidArgument, match="sslmode"):
        await wait_for_database(parse(database_url + "&sslmode=maybe"), timeout_s=600)


async def test_a_postgres_older_than_15_is_refused_with_its_version():
    # The few bytes of a server's greeting: no older PostgreSQL is at hand.
    def message(kind: bytes, body: bytes) -> bytes:
        return kind + (len(body) + 4).to_bytes(4, "big") + body

    greeting = (
        message(b"R", (0).to_bytes(4, "big"))
        + message(b"S", b"server_version\x0014.9\x00")
        + message(b"S", b"client_encoding\x00UTF8\x00")
        + message(b"K", (1).to_bytes(4, "big") * 2)
        + message(b"Z", b"I")
    )

    async def serve(reader, writer):
        size_bytes = int.from_bytes(await reader.readexactly(4), "big")
        await reader.readexactly(size_bytes - 4)
        writer.write(greeting)
        await writer.drain()
        # The client says goodbye and waits for us to hang up.
        await reader.readexactly(5)
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        address = parse(f"postgresql://ann@127.0.0.1:{port}/flow?sslmode=disable")
        with pytest.raises(InvalidArgument, match=r"PostgreSQL 14\.9; 15 or newer is needed"):
            await wait_for_database(address, timeout_s=60)
