"""Transactions, and the one place where a driver's failure becomes a catalogue error."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias, TypeVar

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from flow_contract.errors import Kind, Unavailable

Connection: TypeAlias = AsyncConnection

T = TypeVar("T")

_MESSAGE = "the server's database can't answer now; try again"

# PostgreSQL's codes for what rolled this transaction back and lets the same one succeed later:
# serialization failure, deadlock, statement time-out, shutdown, crash, starting up, too many
# connections. Source: PostgreSQL manual, appendix "Error Codes".
_OVERTAKEN_STATES = frozenset({"40001", "40P01"})
_PASSING_STATES = _OVERTAKEN_STATES | {"57014", "57P01", "57P02", "57P03", "53300"}

_MAX_REPEATS = 4
_LONGEST_PAUSE_S = 0.05


class StatementRefused(Exception):
    """The database refuses what it was told: a defect, or data that it can't hold."""


class Database:
    """Opens transactions on one PostgreSQL.

    Invariant: nobody waits for any network but the database's inside a transaction.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._still = engine.execution_options(isolation_level="REPEATABLE READ")

    def transaction(self) -> contextlib.AbstractAsyncContextManager[Connection]:
        """Commit on success, roll back on any exception.

        Raises:
            Unavailable: the database can't be reached, the connection broke, or the transaction
            lost a deadlock or took too long; nothing was stored.
            StatementRefused: asking again would be refused again; nothing was stored.
        """
        return self._begin(self._engine)

    def snapshot(self) -> contextlib.AbstractAsyncContextManager[Connection]:
        """Read: all statements see the database as it is at the first. Raises as `transaction`."""
        return self._begin(self._still)

    @contextlib.asynccontextmanager
    async def _begin(self, engine: AsyncEngine) -> AsyncIterator[Connection]:
        try:
            async with engine.begin() as connection:
                yield connection
        except (PoolTimeoutError, OSError) as error:
            raise Unavailable(_MESSAGE, kind=Kind.SERVER) from error
        except DBAPIError as error:
            if _passes(error):
                raise Unavailable(_MESSAGE, kind=Kind.SERVER) from error
            raise StatementRefused(str(error.orig)) from error

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
                async with self._engine.begin() as connection:
                    return await work(connection)
            except DBAPIError as error:
                if _sqlstate(error) not in _OVERTAKEN_STATES:
                    if _passes(error):
                        raise Unavailable(_MESSAGE, kind=Kind.SERVER) from error
                    raise StatementRefused(str(error.orig)) from error
            except (PoolTimeoutError, OSError) as error:
                raise Unavailable(_MESSAGE, kind=Kind.SERVER) from error
            await asyncio.sleep(random.uniform(0, _LONGEST_PAUSE_S))  # noqa: S311 - no secret
        async with self.transaction() as connection:
            return await work(connection)

    async def aclose(self) -> None:
        """Close the pool's connections. May be called twice."""
        await self._engine.dispose()


def _sqlstate(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)


def _passes(error: DBAPIError) -> bool:
    return (
        isinstance(error, OperationalError | InterfaceError)
        or error.connection_invalidated
        or _sqlstate(error) in _PASSING_STATES
    )
