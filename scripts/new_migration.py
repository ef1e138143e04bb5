"""Write a revision that takes the newest migration's schema to the one in tables.py.

    PYTHONPATH=sdk:. python scripts/new_migration.py 0002 "Give runs a colour"

Read what it wrote: alembic sees no changed CHECK and no changed index condition of a table
that exists. tests/migration compares the two schemas in PostgreSQL's own catalogue.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.script import Script
from sqlalchemy import Connection

from flow_server.storage import schema
from flow_server.storage.address import parse
from flow_server.storage.embedded import EmbeddedPostgres
from flow_server.storage.engine import make_engine


async def main(revision: str, message: str) -> None:
    """Start an empty database, migrate it, compare, write the file."""
    with tempfile.TemporaryDirectory(prefix="fedflow-migration-") as directory:
        postgres = EmbeddedPostgres(Path(directory), extra_settings={"fsync": "off"})
        engine = make_engine(parse(await postgres.start()))
        try:
            if schema.exist():
                await schema.upgrade(engine)

            async with engine.begin() as connection:
                await connection.run_sync(_write, revision, message)
        finally:
            await engine.dispose()
            await postgres.aclose()


def _write(connection: Connection, revision: str, message: str) -> None:
    config = schema.config(connection)
    written = command.revision(config, message, autogenerate=True, rev_id=revision)
    if not isinstance(written, Script):
        raise TypeError(f"alembic wrote {written}, not one revision")
    path = Path(written.path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.strip().startswith("# ###")))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
