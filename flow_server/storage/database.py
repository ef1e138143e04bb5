"""Transactions, and the one place where a driver's failure becomes a catalogue error."""

import contextlib
from collections.abc import AsyncIterator
from typing import TypeAlias

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from flow_contract.errors import Kind, Unavailable

Connection: TypeAlias = AsyncConnection

_MESSAGE = "the server's database can't answer now; try again"

# PostgreSQL's codes for what rolled this transaction back and lets the same one succeed later:
# serialization failure, deadlock, statement time-out, shutdown, crash, starting up, too many
# connections. Source: PostgreSQL manual, appendix "Error Codes".
_PASSING_STATES = frozenset({"40001", "40P01", "57014", "57P01", "57P02", "57P03", "53300"})


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
        except (OperationalError, InterfaceError, PoolTimeoutError, OSError) as error:
            raise Unavailable(_MESSAGE, kind=Kind.SERVER) from error
        except DBAPIError as error:
            sqlstate = getattr(error.orig, "sqlstate", None)
            if error.connection_invalidated or sqlstate in _PASSING_STATES:
                raise Unavailable(_MESSAGE, kind=Kind.SERVER) from error
            raise StatementRefused(str(error.orig)) from error

    async def aclose(self) -> None:
        """Close the pool's connections. May be called twice."""
        await self._engine.dispose()
