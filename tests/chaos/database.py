"""The place's PostgreSQL: ours to kill and to stop, with a hook in every commit of a report.

`HOOK` lets whoever holds one advisory lock keep all commits that moved a party run in the
middle: their transactions are done, their COMMIT is under way, and nothing is visible yet.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg

from flow_server.storage import schema
from flow_server.storage.address import parse
from flow_server.storage.embedded import EmbeddedPostgres, home_in
from flow_server.storage.engine import make_engine
from flow_server.storage.pg_home import PORT, Home

# Alembic keeps the migration under way in global variables.
_migrating = asyncio.Lock()
_KEY = 4711
_POLL_S = 0.01
_HELD_S = 5.0

# What asyncpg raises where a connection, its server or its protocol broke off under it.
BROKEN = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)

# Processes are killed here, never the machine: what is written need not reach the disk.
SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_connections": "100"}

HOOK = f"""
CREATE OR REPLACE FUNCTION chaos_hold() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_advisory_xact_lock_shared({_KEY}); RETURN NULL; END $$;
DROP TRIGGER IF EXISTS chaos_hold ON party_runs;
CREATE CONSTRAINT TRIGGER chaos_hold AFTER INSERT OR UPDATE ON party_runs
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION chaos_hold();
"""


class OwnDatabase:
    """A PostgreSQL that no server owns, as an operator's would be."""

    def __init__(self, folder: Path) -> None:
        self._postgres = EmbeddedPostgres(folder, extra_settings=SETTINGS)

    async def start(self) -> str:
        self.url = await self._postgres.start()
        engine = make_engine(parse(self.url))
        try:
            async with _migrating:
                await schema.upgrade(engine)
        finally:
            await engine.dispose()
        return self.url

    @property
    def pid(self) -> int | None:
        return self._postgres.pid

    def strike(self, number: signal.Signals) -> None:
        if self.pid is not None:
            os.kill(self.pid, number)

    async def ended(self) -> None:
        if self.pid is not None:
            await self._postgres.died()
            await self._postgres.aclose()

    async def restart(self) -> None:
        if self.pid is None:
            await self._postgres.start()

    async def aclose(self) -> None:
        await self._postgres.aclose()


class ServersDatabase:
    """The embedded PostgreSQL of the one server, which is who starts it again."""

    def __init__(self, state_dir: Path) -> None:
        self._home = Home(home_in(state_dir))
        self.url = f"postgresql://postgres@/postgres?host={self._home.cluster}&port={PORT}"

    @property
    def pid(self) -> int | None:
        noted = self._home.server_pid()
        return noted[0] if noted else None

    def strike(self, number: signal.Signals) -> None:
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def ended(self) -> None:
        """Nothing: the server notices."""

    async def restart(self) -> None:
        """Nothing: the server does."""

    async def aclose(self) -> None:
        """Nothing: it ends with the server."""


Database = OwnDatabase | ServersDatabase


def signal_all(postmaster: int, number: signal.Signals) -> None:
    """Signal the postmaster and its backends, which are no group."""
    for path in Path("/proc").iterdir():
        if path.name.isdecimal():
            with contextlib.suppress(OSError):
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
                if postmaster in (parent, int(path.name)):
                    os.kill(int(path.name), number)


async def connect(url: str, within_s: float = 120.0) -> asyncpg.Connection:
    """Return a connection as soon as the database takes one."""
    async with asyncio.timeout(within_s):
        while True:
            try:
                return await asyncpg.connect(url, timeout=10)
            except BROKEN:
                await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def commit_held(url: str) -> AsyncIterator[None]:
    """Enter while a commit is under way that can't finish before this block ends.

    Entered all the same if none comes, or if the database breaks off what is asked of it: it
    may be what another fault is about to hurt.
    """
    connection = None
    with contextlib.suppress(*BROKEN):
        connection = await asyncpg.connect(url, timeout=10)
        await connection.execute("SELECT pg_advisory_lock($1)", _KEY)
        async with asyncio.timeout(_HELD_S):
            # PostgreSQL tells nobody that somebody waits for a lock.
            while not await connection.fetchval(  # noqa: ASYNC110
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            ):
                await asyncio.sleep(_POLL_S)
    try:
        yield
    finally:
        if connection is not None:
            connection.terminate()
