"""A database whose schema goes from version to version, with rows in it."""

import json

import asyncpg
from alembic import command

from flow_server.storage import schema
from flow_server.storage.address import parse
from flow_server.storage.engine import make_engine
from tests.migration.rows import NEW_TABLES, rows_of

_COLUMNS = """
    SELECT table_name, column_name, data_type, is_nullable = 'YES' AS nullable,
           column_default IS NOT NULL OR is_identity = 'YES' AS filled_in, column_default
    FROM information_schema.columns
    WHERE table_schema = 'public' AND table_name <> 'alembic_version'
    ORDER BY table_name, ordinal_position
"""


class Versions:
    """A database whose schema goes up and down between versions."""

    def __init__(self, url):
        self._url = url

    async def go_to(self, revision):
        engine = make_engine(parse(self._url))

        def move(connection):
            found = schema._current(connection)
            is_back = found is not None and found > revision
            (command.downgrade if is_back else command.upgrade)(schema.config(connection), revision)

        async with engine.begin() as connection:
            await connection.run_sync(move)
        await engine.dispose()

    async def fetch(self, query, *values):
        connection = await asyncpg.connect(self._url)
        try:
            return await connection.fetch(query, *values)
        finally:
            await connection.close()

    async def columns(self):
        """Return {table: {column: facts}}."""
        found = {}
        for row in await self.fetch(_COLUMNS):
            found.setdefault(row["table_name"], {})[row["column_name"]] = row
        return found

    async def insert(self, table, row, columns):
        names = ", ".join(name for name in columns if name in row)
        await self.fetch(
            f"INSERT INTO {table} ({names})"  # noqa: S608 - names of the catalogue
            f" SELECT {names} FROM jsonb_populate_record(NULL::{table}, $1::jsonb)",
            json.dumps(row),
        )

    async def fill(self, columns):
        """Insert all rows, each with no other columns than these."""
        for table, rows in rows_of(columns).items():
            for row in rows:
                await self.insert(table, row, columns[table])

    async def stored(self, columns):
        """Return all rows, as far as these columns go."""
        return {
            table: [
                tuple(row)
                for row in await self.fetch(
                    f"SELECT {', '.join(names)} FROM {table} ORDER BY 1"  # noqa: S608 - the same
                )
            ]
            for table, names in columns.items()
            if table not in NEW_TABLES
        }
