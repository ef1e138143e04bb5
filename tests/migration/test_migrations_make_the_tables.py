"""The migrations and flow_server/storage/tables.py say the same, in PostgreSQL's own words."""

from typing import Any

import asyncpg
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from flow_server.storage import schema
from flow_server.storage.address import parse
from flow_server.storage.all_tables import metadata
from flow_server.storage.engine import make_engine

_CATALOGUE = {
    "columns": """
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
               a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid)
        FROM pg_attribute a
        JOIN pg_class c ON c.oid = a.attrelid
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
          AND a.attnum > 0 AND NOT a.attisdropped AND c.relname <> 'alembic_version'
        ORDER BY 1, 2""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, contype, pg_get_constraintdef(oid)
        FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace
          AND conrelid::regclass::text <> 'alembic_version'
        ORDER BY 1, 2""",
    "indexes": """
        SELECT tablename, indexname, indexdef FROM pg_indexes
        WHERE schemaname = 'public' AND tablename <> 'alembic_version'
        ORDER BY 1, 2""",
    "sequences": """
        SELECT sequencename, data_type::text, start_value, increment_by
        FROM pg_sequences WHERE schemaname = 'public' ORDER BY 1""",
    "functions": """
        SELECT proname, pg_get_functiondef(oid) FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace ORDER BY 1""",
    "triggers": """
        SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) FROM pg_trigger
        WHERE NOT tgisinternal ORDER BY 1, 2""",
}


async def _catalogue(url: str) -> dict[str, list[Any]]:
    connection = await asyncpg.connect(url)
    try:
        return {
            subject: [tuple(row) for row in await connection.fetch(query)]
            for subject, query in _CATALOGUE.items()
        }
    finally:
        await connection.close()


async def test_the_migrated_catalogue_is_the_one_that_tables_py_makes(database_url, empty_url):
    engine = make_engine(parse(empty_url))
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await engine.dispose()

    migrated = await _catalogue(database_url)
    made = await _catalogue(empty_url)

    for subject in _CATALOGUE:
        assert migrated[subject] == made[subject]
    assert len(migrated["columns"]) == sum(len(table.columns) for table in metadata.tables.values())


async def test_alembic_finds_nothing_to_add(engine: AsyncEngine):
    def differences(connection: Connection) -> list[Any]:
        options = {"compare_type": True, "compare_server_default": True}
        return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)

    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_down_to_nothing_and_up_again_makes_the_same(engine: AsyncEngine, database_url):
    before = await _catalogue(database_url)

    assert await schema.downgrade(engine, "base") is None
    emptied = await _catalogue(database_url)
    assert await schema.upgrade(engine) == schema.head()

    assert not any(emptied.values())
    assert await _catalogue(database_url) == before
