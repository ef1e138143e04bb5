"""Which schema a database has, which one this code needs, and how to get from one to the other."""

import enum
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from flow_contract.errors import Conflict, InvalidArgument, Kind
from flow_server.storage.all_tables import metadata
from flow_server.storage.tables import compatibility

_PACKAGED = Path(__file__).parents[1] / "migrations"
_CHECKOUT = Path(__file__).parents[2] / "migrations"

# Held by who migrates, so that two at once come one after the other. Any number would do.
_LOCK_KEY = 0x666564666C6F77
_BASE = "base"

_Answer = TypeVar("_Answer")


class Fit(enum.StrEnum):
    """How a database's schema compares with the one this code needs."""

    SAME = "same"
    MISSING = "missing"
    OLDER = "older"
    # This code doesn't know it, but the schema says that this code still works on it.
    COMPATIBLE = "compatible"
    NEWER = "newer"


def exist() -> bool:
    """Say whether there is any migration yet."""
    return _scripts().get_current_head() is not None


def head() -> str:
    """Return the revision that this code needs."""
    revision = _scripts().get_current_head()
    if revision is None:
        raise RuntimeError("there are no migrations beside this code")
    return revision


def revisions() -> list[str]:
    """Return the revisions that this code knows, newest first."""
    return [head(), *_below(head())]


async def current(engine: AsyncEngine) -> str | None:
    """Return the revision that the database has, None if it has none."""
    async with engine.connect() as connection:
        return await connection.run_sync(_current)


async def fit(engine: AsyncEngine) -> Fit:
    """Say whether this code can work on the database."""
    async with engine.connect() as connection:
        return await connection.run_sync(_fit)


async def require_fit(engine: AsyncEngine, *, database: str) -> Fit:
    """Accept a database that this code works on; `database` is its shown URL.

    That is one with the schema that this code needs, or a newer one that says of itself that
    this code still fits: replicas are upgraded one after the other, after the database.

    Raises:
        Conflict: it is another; the text says which, and the command that helps.
    """
    async with engine.connect() as connection:
        found = await connection.run_sync(_current)
        fits = await connection.run_sync(_fit)
    upgrade_it = f"run: fedflow db upgrade --database-url '{database}'"
    sentences = {
        Fit.MISSING: f"has no Fedflow schema yet (needed: {head()}); {upgrade_it}",
        Fit.OLDER: f"has schema {found}, older than this server's {head()}; {upgrade_it}",
        Fit.NEWER: (
            f"has schema {found}, which this server doesn't know: it is newer than {head()} "
            "and asks for newer code; "
            "upgrade this server: pip install --upgrade 'fedflow[server]'"
        ),
    }
    problem = sentences.get(fits)
    if problem is not None:
        raise Conflict(f"the database {database} {problem}", kind=Kind.SERVER)
    return fits


async def upgrade(engine: AsyncEngine) -> str:
    """Bring the database to this code's schema, all or nothing; return the one it has then.

    A newer schema that this code still fits stays. May be called by several processes at once:
    each sees a database that is migrated.

    Raises:
        Conflict: the schema is newer than this code, or tables of somebody else are in the way.
    """

    def run(connection: Connection) -> str:
        found = _current(connection)
        match _fit(connection):
            case Fit.NEWER:
                raise Conflict(
                    f"the database has schema {found}, newer than this code's {head()}: "
                    "upgrade fedflow",
                    kind=Kind.SERVER,
                )
            case Fit.MISSING:
                _require_no_tables(connection)
                command.upgrade(config(connection), "head")
            case Fit.OLDER:
                command.upgrade(config(connection), "head")
            case Fit.SAME | Fit.COMPATIBLE:
                pass
        return _current(connection) or head()

    return await _alone(engine, run)


async def downgrade(engine: AsyncEngine, revision: str) -> str | None:
    """Take the database back to `revision`, or to nothing with "base"; return what it has then.

    What the later revisions added is lost.

    Raises:
        InvalidArgument: there is no such revision below the database's own.
        Conflict: the schema is newer than this code, which can't take back what it doesn't know.
    """

    def run(connection: Connection) -> str | None:
        found = _current(connection)
        if _fit(connection) in (Fit.NEWER, Fit.COMPATIBLE):
            raise Conflict(
                f"the database has schema {found}, newer than this code's {head()}: "
                "take it back with the fedflow that made it",
                kind=Kind.SERVER,
            )
        below = _below(found)
        if revision not in (_BASE, found, *below):
            known = ", ".join([*below, _BASE])
            raise InvalidArgument(
                f"{revision}: not a revision below {found or 'an empty database'}; "
                f"choose one of {known}",
                kind=Kind.SERVER,
                field="revision",
            )
        if found is not None and revision != found:
            command.downgrade(config(connection), revision)
        return _current(connection)

    return await _alone(engine, run)


async def _alone(engine: AsyncEngine, run: Callable[[Connection], _Answer]) -> _Answer:
    async with engine.begin() as connection:
        # A migration takes as long as its data are large, and its turn may be late.
        await connection.execute(text("SET LOCAL statement_timeout = 0"))
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
        return await connection.run_sync(run)


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _fit(connection: Connection) -> Fit:
    found = _current(connection)
    if found is None:
        return Fit.MISSING
    if found == head():
        return Fit.SAME
    older = _below(head())
    if found in older:
        return Fit.OLDER
    # Known to this code means not newer than it: revisions have one order, but no number.
    return Fit.COMPATIBLE if _oldest_code(connection) in revisions() else Fit.NEWER


def _oldest_code(connection: Connection) -> str | None:
    if not inspect(connection).has_table(compatibility.name):
        return None
    oldest: str | None = connection.execute(
        select(compatibility.c.oldest_code)
    ).scalar_one_or_none()
    return oldest


def _below(revision: str | None) -> list[str]:
    if revision is None:
        return []
    try:
        line = [script.revision for script in _scripts().iterate_revisions(revision, _BASE)]
    except CommandError:
        return []
    return line[1:]


def _require_no_tables(connection: Connection) -> None:
    taken = sorted(set(inspect(connection).get_table_names()) & set(metadata.tables))
    if taken:
        raise Conflict(
            f"the database has tables named {', '.join(taken)} that Fedflow did not make: "
            "give it a database of its own",
            kind=Kind.SERVER,
        )


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(config())


def config(connection: Connection | None = None) -> Config:
    """Return what alembic's own commands need to work on `connection`."""
    settings = Config()
    directory = _PACKAGED if _PACKAGED.is_dir() else _CHECKOUT
    # The file format of alembic's settings interpolates percent signs.
    settings.set_main_option("script_location", str(directory).replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    settings.attributes["connection"] = connection
    return settings
