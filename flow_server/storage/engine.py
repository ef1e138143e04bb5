"""Makes the one engine of a server, and says early and clearly why there can't be one."""

import asyncio
import json
import time
from typing import Any

import asyncpg
import structlog
from sqlalchemy.event import listen
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from flow_contract.errors import InvalidArgument, Kind, Unavailable
from flow_server.storage.address import Address
from flow_server.storage.pg_binaries import OLDEST_MAJOR

_log = structlog.get_logger(__name__)

_STATEMENT_TIMEOUT_S = 30.0
# For serving. Longer than any statement may take: only a machine that hangs or a network that
# swallows packets is silent for so long, and would hold every connection for a quarter of an hour.
ANSWER_TIMEOUT_S = 35.0
_IDLE_IN_TRANSACTION_TIMEOUT_S = 60.0
_RETRY_S = 0.5
# A connection that nobody used for so long is asked whether it lives before it is used again.
_SILENT_S = 1.0
_RETURNED_AT_S = "returned_at_s"

# PostgreSQL's jsonb keeps neither spaces nor escapes, so neither is sent; NaN it refuses.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode

# Asking again can't help: somebody must change the URL or the database.
_LASTING = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.UndefinedObjectError,
    asyncpg.InvalidParameterValueError,
    asyncpg.ClientConfigurationError,
)
# It starts, it is full, or it is not reachable: the usual moments of a machine that boots.
_PASSING = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


def make_engine(
    address: Address,
    *,
    pool_size: int = 10,
    statement_timeout_s: float = _STATEMENT_TIMEOUT_S,
    answer_timeout_s: float | None = None,
) -> AsyncEngine:
    """Return an engine that connects when first used; the caller disposes of it.

    `pool_size` connections at most. A statement ends after `statement_timeout_s`, 0 is never.
    A database that has not answered one after `answer_timeout_s` counts as gone, None is never.
    """
    settings = {
        "application_name": "fedflow",
        "timezone": "UTC",
        # Our statements are short: compiling them costs more than it saves.
        "jit": "off",
        "statement_timeout": _milliseconds(statement_timeout_s),
        "idle_in_transaction_session_timeout": _milliseconds(_IDLE_IN_TRANSACTION_TIMEOUT_S),
    }

    async def connect(*_: Any, **__: Any) -> asyncpg.Connection:
        try:
            return await asyncpg.connect(
                **address.connect_args(settings), command_timeout=answer_timeout_s
            )
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            # However it says no, to who waits for a connection it is one that can't be had.
            raise ConnectionError(f"{address.shown}: {error}") from error

    engine = create_async_engine(
        # Only the dialect: the driver reads the URL itself, with all that psql's users know.
        "postgresql+asyncpg://",
        async_creator=connect,
        pool_size=pool_size,
        max_overflow=0,
        json_serializer=_encode,
        json_deserializer=json.loads,
        # What is bound may be a person's data; it stays out of logs and error texts.
        hide_parameters=True,
    )
    listen(engine.sync_engine.pool, "checkin", _note_return)
    listen(engine.sync_engine.pool, "checkout", _require_life)
    return engine


def _note_return(_connection: Any, record: ConnectionPoolEntry) -> None:
    record.info[_RETURNED_AT_S] = time.monotonic()


def _require_life(connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
    """Have a connection that is dead replaced before it is used.

    The driver knows of every end that it was told of. Only of a silent one it must ask, and not
    at each use: asking takes three messages, as many as a short transaction.
    """
    if connection.driver_connection.is_closed():
        raise DisconnectionError("the connection was closed")
    returned_at_s = record.info.get(_RETURNED_AT_S)
    if returned_at_s is not None and time.monotonic() - returned_at_s > _SILENT_S:
        try:
            connection.ping()
        except connection.dbapi.Error as error:
            raise DisconnectionError("the connection does not answer") from error


async def wait_for_database(address: Address, *, timeout_s: float = 60.0) -> None:
    """Return once a PostgreSQL that is new enough answers.

    Raises:
        Unavailable: none answered within `timeout_s`; the text holds the last reason.
        InvalidArgument: it refuses us, has no such database, or is older than 15.
    """
    said = ""
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                problem = await _problem(address)
                if problem is None:
                    return
                if problem != said:
                    _log.warning("database_awaited", database=address.shown, problem=problem)
                    said = problem
                await asyncio.sleep(_RETRY_S)
    except TimeoutError:
        raise Unavailable(
            f"no PostgreSQL answered at {address.shown} within {timeout_s:.0f} s: "
            f"{said or 'no answer at all'}",
            kind=Kind.SERVER,
        ) from None


async def _problem(address: Address) -> str | None:
    try:
        connection = await asyncpg.connect(**address.connect_args())
    except _LASTING as error:
        raise _refused(address, str(error)) from error
    except _PASSING as error:
        return str(error) or type(error).__name__
    try:
        major = connection.get_server_version().major
        version = connection.get_settings().server_version
    finally:
        await connection.close()
    if major < OLDEST_MAJOR:
        raise _refused(address, f"it is PostgreSQL {version}; {OLDEST_MAJOR} or newer is needed")
    return None


def _refused(address: Address, problem: str) -> InvalidArgument:
    return InvalidArgument(
        f"--database-url: {address.shown}: {problem}", kind=Kind.SERVER, field="database_url"
    )


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))
