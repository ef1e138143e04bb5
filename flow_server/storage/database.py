"""Transactions, and the one place where a driver's failure becomes a catalogue error."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias, TypeVar

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import QueuePool

from flow_contract.errors import Kind, Unavailable
from flow_server.storage.statements import driver_of
from flow_server.storage.watch import DatabaseWatch, Unwatched

Connection: TypeAlias = AsyncConnection

T = TypeVar("T")

_MESSAGE = "the server's database can't answer now; try again"

# PostgreSQL's codes for what rolled this transaction back and lets the same one succeed later:
# serialization failure, deadlock, statement time-out, shutdown, crash, starting up, too many
# connections. Source: PostgreSQL manual, appendix "Error Codes".
_OVERTAKEN_STATES = frozenset({"40001", "40P01"})
_PASSING_STATES = _OVERTAKEN_STATES | {"57014", "57P01", "57P02", "57P03", "53300"}

# The class of connection exceptions.
_CONNECTION_CLASS = "08"
# Shutdown and crash, but for the statement that took too long.
_SHUTDOWN_CLASS = "57P"

_OF_THE_DATABASE = (
    PoolTimeoutError,
    OSError,
    DBAPIError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    # What the driver says of a connection that died in the middle of an answer.
    asyncpg.InternalClientError,
)

_MAX_REPEATS = 4
_LONGEST_PAUSE_S = 0.05


class StatementRefused(Exception):
    """The database refuses what it was told: a defect, or data that it can't hold."""


class Database:
    """Opens transactions on one PostgreSQL.

    Invariant: nobody waits for any network but the database's inside a transaction.
    """

    def __init__(self, engine: AsyncEngine, watch: DatabaseWatch | None = None) -> None:
        self._engine = engine
        self._watch = watch or Unwatched()
        # Transactions begin and end here, so that statements of both kinds are inside them.
        self._bare = engine.execution_options(isolation_level="AUTOCOMMIT")

    def transaction(self) -> contextlib.AbstractAsyncContextManager[Connection]:
        """Commit on success, roll back on any exception.

        Raises:
            Unavailable: the database can't be reached, the connection broke, or the transaction
            lost a deadlock or took too long; nothing was stored.
            StatementRefused: asking again would be refused again; nothing was stored.
        """
        return self._mapped("BEGIN")

    def snapshot(self) -> contextlib.AbstractAsyncContextManager[Connection]:
        """Read: all statements see the database as it is at the first. Raises as `transaction`."""
        return self._mapped("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def glance(self) -> contextlib.AbstractAsyncContextManager[Connection]:
        """Read: each statement sees the database as it is then. Raises as `transaction`."""
        return self._mapped(None)

    async def repeatable(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Do `work` in a transaction, and again when PostgreSQL has chosen it to give way.

        Only that: it was rolled back then, without a doubt. `work` may run several times, and
        must begin from the rows each time.

        Raises:
            Unavailable: as `transaction`, also when it had to give way too often.
            StatementRefused: as `transaction`.
        """
        for _ in range(_MAX_REPEATS):
            try:
                async with self._begin("BEGIN") as connection:
                    return await work(connection)
            except _OF_THE_DATABASE as error:
                if _sqlstate(error) not in _OVERTAKEN_STATES:
                    raise self._told(error) from error
            await asyncio.sleep(random.uniform(0, _LONGEST_PAUSE_S))  # noqa: S311 - no secret
        async with self.transaction() as connection:
            return await work(connection)

    @contextlib.asynccontextmanager
    async def _mapped(self, begin: str | None) -> AsyncIterator[Connection]:
        try:
            async with self._begin(begin) as connection:
                yield connection
        except _OF_THE_DATABASE as error:
            raise self._told(error) from error

    @contextlib.asynccontextmanager
    async def _begin(self, begin: str | None) -> AsyncIterator[Connection]:
        asked_s = time.perf_counter()
        async with self._bare.connect() as connection:
            self._watch.waited(time.perf_counter() - asked_s)
            driver = driver_of(connection)
            try:
                if begin is not None:
                    await driver.execute(begin)
                yield connection
                if begin is not None:
                    await driver.execute("COMMIT")
            except BaseException as error:
                await _abandon(driver, error)
                raise

    @property
    def connections_in_use(self) -> int:
        """How many of the pool's connections somebody has now."""
        pool = self._engine.pool
        return pool.checkedout() if isinstance(pool, QueuePool) else 0

    def _told(self, error: Exception) -> Exception:
        told = _told(error)
        self._watch.failed(passing=isinstance(told, Unavailable))
        return told

    async def aclose(self) -> None:
        """Close the pool's connections. May be called twice."""
        await self._engine.dispose()


async def _abandon(driver: asyncpg.Connection, error: BaseException) -> None:
    """Roll back, or cut the connection, which does so too; never leave a transaction open.

    Nor a connection that is in the middle of something: whoever gets it next could not use it.
    """
    if not _leaves_usable(error) and not driver.is_closed():
        driver.terminate()
    if driver.is_closed() or not driver.is_in_transaction():
        return
    try:
        await driver.execute("ROLLBACK")
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        driver.terminate()
    except BaseException:
        driver.terminate()
        raise


def _leaves_usable(error: BaseException) -> bool:
    """Say whether the connection has surely answered to the end.

    It has if PostgreSQL only refused a statement, or if what failed was not the database. It may
    not have if the caller was cancelled, or the connection ended: the error can arrive before
    the end does.
    """
    if not isinstance(error, Exception):
        return False
    if not isinstance(error, _OF_THE_DATABASE):
        return True
    state = _sqlstate(error)
    return state is not None and not state.startswith((_CONNECTION_CLASS, _SHUTDOWN_CLASS))


def _told(error: Exception) -> Exception:
    """Return what the caller is told instead of the driver's own error."""
    if _passes(error):
        return Unavailable(_MESSAGE, kind=Kind.SERVER)
    return StatementRefused(str(getattr(error, "orig", None) or error))


def _sqlstate(error: BaseException) -> str | None:
    return getattr(getattr(error, "orig", error), "sqlstate", None)


def _passes(error: Exception) -> bool:
    state = _sqlstate(error)
    if state is not None:
        return state in _PASSING_STATES or state.startswith(_CONNECTION_CLASS)
    if isinstance(error, DBAPIError):
        return isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated
    # A value that the driver can't send is an interface error too.
    return not isinstance(error, ValueError)
