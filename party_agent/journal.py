"""What must survive the agent: its units, its instance id, and that it is alone in its directory.

Each write is one committed transaction on disk before the call returns (WAL, synchronous=FULL),
in the order of the calls. With no directory all is kept in memory, for simulations.
"""

import asyncio
import fcntl
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import TypeAdapter

from flow_contract import ids
from party_agent.unit import Unit

_UNIT = TypeAdapter(Unit)

_SCHEMA_VERSION = 1

# Assignments of party runs that ended longer ago than this many others are not on their way.
KEPT_ENDED = 5_000

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE units (party_run_id TEXT PRIMARY KEY, unit TEXT NOT NULL) STRICT;
CREATE TABLE ended (number INTEGER PRIMARY KEY, party_run_id TEXT NOT NULL) STRICT;
"""


class StateDirInUse(Exception):
    """Another agent holds the state directory; the message names it."""


class StateDirUnusable(Exception):
    """The state directory can't be read or written, or a newer agent wrote it."""


class Journal:
    """Reads and writes units; `instance_id` is random and kept.

    Invariant: at most one open journal per state directory, over all processes.
    """

    def __init__(self, state_dir: Path | None) -> None:
        """Open or create it in `state_dir`; None keeps everything in memory.

        Raises:
            StateDirInUse: another agent is using the directory.
            StateDirUnusable: it can't be used at all.
        """
        self._lock_fd: int | None = None
        self._writer: ThreadPoolExecutor | None = None
        try:
            if state_dir is not None:
                state_dir.mkdir(parents=True, exist_ok=True)
                self._lock_fd = _lock(state_dir)
                # One thread: writes happen in the order in which they were asked for.
                self._writer = ThreadPoolExecutor(1, thread_name_prefix="journal")
            self._database = _open(state_dir)
            self.instance_id = self._kept("instance_id", ids.new_id())
        except StateDirUnusable:
            self._unlock()
            raise
        except (OSError, sqlite3.Error) as error:
            self._unlock()
            raise StateDirUnusable(f"the state directory {state_dir} can't be used: {error}") from (
                error
            )

    def load(self) -> list[Unit]:
        """Return every unit, oldest start first.

        Raises:
            StateDirUnusable: a unit can't be read, which only a newer agent's could cause.
        """
        rows = self._database.execute("SELECT unit FROM units").fetchall()
        try:
            units = [_UNIT.validate_json(row[0]) for row in rows]
        except ValueError as error:
            raise StateDirUnusable(f"the journal holds what can't be read: {error}") from error
        return sorted(units, key=lambda unit: unit.spec.order)

    async def save(self, unit: Unit) -> None:
        """Store the unit; when this returns, or is cancelled, the write lands all the same."""
        document = _UNIT.dump_json(unit, exclude={"failures"}).decode()
        await self._write(
            "INSERT INTO units VALUES (?, ?)"
            " ON CONFLICT (party_run_id) DO UPDATE SET unit = excluded.unit",
            (unit.party_run_id, document),
        )

    def load_ended(self, most: int = KEPT_ENDED) -> list[str]:
        """Return the ids of the `most` party runs forgotten last, oldest first; drop the others."""
        newest = "SELECT number FROM ended ORDER BY number DESC LIMIT ?"
        self._database.execute(f"DELETE FROM ended WHERE number NOT IN ({newest})", (most,))  # noqa: S608  a literal
        return [
            row[0]
            for row in self._database.execute("SELECT party_run_id FROM ended ORDER BY number")
        ]

    async def forget(self, party_run_id: str) -> None:
        """Keep nothing of the unit but its id, so that it is never run a second time."""
        # In this order a crash in between leaves a unit that is forgotten again.
        await self._write("INSERT INTO ended (party_run_id) VALUES (?)", (party_run_id,))
        await self._write("DELETE FROM units WHERE party_run_id = ?", (party_run_id,))

    def close(self) -> None:
        """Finish the writes asked for, then let the directory go. May be called twice."""
        if self._writer is not None:
            self._writer.shutdown(wait=True)
        self._database.close()
        self._unlock()

    async def _write(self, statement: str, values: tuple[str, ...]) -> None:
        if self._writer is None:
            self._database.execute(statement, values)
            return
        loop = asyncio.get_running_loop()
        write = loop.run_in_executor(self._writer, self._database.execute, statement, values)
        await asyncio.shield(write)

    def _kept(self, key: str, first_value: str) -> str:
        self._database.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, first_value))
        query = "SELECT value FROM meta WHERE key = ?"
        return str(self._database.execute(query, (key,)).fetchone()[0])

    def _unlock(self) -> None:
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None


def _lock(state_dir: Path) -> int:
    path = state_dir / "lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StateDirInUse(
            f"another agent is using the state directory {state_dir}; "
            "stop it, or give this one a directory of its own"
        ) from None
    return descriptor


def _open(state_dir: Path | None) -> sqlite3.Connection:
    path = ":memory:" if state_dir is None else str(state_dir / "journal.sqlite3")
    # Autocommit: every statement is a transaction of its own. One thread at a time by the pool.
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version > _SCHEMA_VERSION:
        database.close()
        raise StateDirUnusable(
            f"the journal in {state_dir} was written by a newer agent; upgrade this one"
        )
    if version < _SCHEMA_VERSION:
        database.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_SCHEMA_VERSION}; COMMIT;")
    if state_dir is not None:
        (state_dir / "journal.sqlite3").chmod(0o600)
    return database
