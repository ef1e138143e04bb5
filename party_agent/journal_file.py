"""The journal's file: one agent per directory, its schema, and one thread that writes.

Each write is one committed transaction on disk before the call returns (WAL, synchronous=FULL),
in the order of the calls. With no directory all is kept in memory, for simulations.
"""

import asyncio
import fcntl
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

Statement = tuple[str, tuple[str, ...]]
Rows = list[tuple[str, ...]]

# One script per version, from the one before; what was released never changes.
_MIGRATIONS = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    CREATE TABLE units (party_run_id TEXT PRIMARY KEY, unit TEXT NOT NULL) STRICT;
    CREATE TABLE ended (number INTEGER PRIMARY KEY, party_run_id TEXT NOT NULL) STRICT;
    """,
    """
    CREATE TABLE outputs (party_run_id TEXT PRIMARY KEY, ended_at TEXT NOT NULL) STRICT;
    CREATE TABLE images (reference TEXT PRIMARY KEY, image_id TEXT NOT NULL, used_at TEXT NOT NULL)
        STRICT;
    INSERT OR IGNORE INTO outputs
        SELECT party_run_id, strftime('%Y-%m-%dT%H:%M:%S+00:00', 'now') FROM ended;
    """,
    """
    CREATE TABLE approvals (party_run_id TEXT PRIMARY KEY, digest TEXT NOT NULL,
        asked_at TEXT NOT NULL, verdict TEXT NOT NULL) STRICT;
    """,
)


class StateDirInUse(Exception):
    """Another agent holds the state directory; the message names it."""


class StateDirUnusable(Exception):
    """The state directory can't be read or written, or a newer agent wrote it."""


class JournalFile:
    """Reads and writes in a thread of its own; what says "now" is for before anything is served.

    Invariant: at most one open per state directory, over all processes.
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
        except StateDirUnusable:
            self._unlock()
            raise
        except (OSError, sqlite3.Error) as error:
            self._unlock()
            raise StateDirUnusable(f"the state directory {state_dir} can't be used: {error}") from (
                error
            )

    def read_now(self, query: str, values: tuple[str, ...] = ()) -> Rows:
        """Return the rows, at the cost of the caller's thread."""
        with closing(self._database.execute(query, values)) as cursor:
            return cursor.fetchall()

    async def read(self, query: str) -> Rows:
        """Return the rows as they are after every write asked for before."""
        if self._writer is None:
            return self.read_now(query)
        # Not in the caller's thread: the database lets nobody in while it waits for the disk.
        return await asyncio.get_running_loop().run_in_executor(self._writer, self.read_now, query)

    def write_now(self, *statements: Statement) -> None:
        """Commit the statements, at the cost of the caller's thread."""
        self._apply(statements)

    async def write(self, *statements: Statement) -> None:
        """Commit the statements as one; it lands also if the caller is cancelled meanwhile."""
        if self._writer is None:
            self._apply(statements)
            return
        loop = asyncio.get_running_loop()
        await asyncio.shield(loop.run_in_executor(self._writer, self._apply, statements))

    def close(self) -> None:
        """Finish the writes asked for, then let the directory go. May be called twice."""
        if self._writer is not None:
            self._writer.shutdown(wait=True)
        self._database.close()
        self._unlock()

    def _apply(self, statements: tuple[Statement, ...]) -> None:
        if len(statements) == 1:
            self._database.execute(*statements[0])
            return
        self._database.execute("BEGIN")
        try:
            for statement in statements:
                self._database.execute(*statement)
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

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
    # Autocommit: every statement is a transaction of its own. Threads take turns in sqlite.
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version > len(_MIGRATIONS):
        database.close()
        raise StateDirUnusable(
            f"the journal in {state_dir} was written by a newer agent; upgrade this one"
        )
    for number, script in enumerate(_MIGRATIONS[version:], start=version + 1):
        database.executescript(f"BEGIN; {script} PRAGMA user_version = {number}; COMMIT;")
    if state_dir is not None:
        (state_dir / "journal.sqlite3").chmod(0o600)
    return database
