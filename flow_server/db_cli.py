"""`fedflow db`: bring a database's schema to the one this code needs, or back.

Invariant: importing this module imports no database library; `--help` answers at once.
"""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flow_contract.errors import FlowError, Kind, NotFound

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

_Work = Callable[["AsyncEngine"], Awaitable[str]]


@click.group()
def db() -> None:
    """Look at and migrate the server's database."""


def _where(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--state-dir",
            type=click.Path(file_okay=False, path_type=Path),
            envvar="FEDFLOW_STATE_DIR",
            show_envvar=True,
            help="Directory of the server whose embedded database is meant; stop that server "
            "first. Used without --database-url.",
        ),
        click.option(
            "--database-url",
            envvar="FEDFLOW_DATABASE_URL",
            show_envvar=True,
            help="postgresql://user:password@host:5432/name",
        ),
    ):
        command = option(command)
    return command


@db.command()
@_where
def current(database_url: str | None, state_dir: Path | None) -> None:
    """Show the database's schema revision and the one that this version needs."""

    async def work(engine: "AsyncEngine") -> str:
        from flow_server.storage import schema  # noqa: PLC0415 -- see the module's invariant

        found = await schema.current(engine)
        return f"{found or 'none'} ({(await schema.fit(engine)).value}; needed: {schema.head()})"

    _run(database_url, state_dir, work)


@db.command()
@_where
def upgrade(database_url: str | None, state_dir: Path | None) -> None:
    """Bring the database to the schema that this version needs."""

    async def work(engine: "AsyncEngine") -> str:
        from flow_server.storage import schema  # noqa: PLC0415 -- see the module's invariant

        return f"the database has schema {await schema.upgrade(engine)}"

    _run(database_url, state_dir, work, make=True)


@db.command()
@click.argument("revision")
@click.option("--yes", is_flag=True, help="Don't ask.")
@_where
def downgrade(
    revision: str, *, yes: bool, database_url: str | None, state_dir: Path | None
) -> None:
    """Take the database back to REVISION; "base" removes everything of Fedflow."""
    if not yes:
        click.confirm(f"What came after {revision} is deleted, rows included. Go on?", abort=True)

    async def work(engine: "AsyncEngine") -> str:
        from flow_server.storage import schema  # noqa: PLC0415 -- see the module's invariant

        left = await schema.downgrade(engine, revision)
        return f"the database has schema {left}" if left else "the database has no schema any more"

    _run(database_url, state_dir, work)


def _run(
    database_url: str | None, state_dir: Path | None, work: _Work, *, make: bool = False
) -> None:
    import structlog  # noqa: PLC0415 -- see the module's invariant

    # The answer alone goes to stdout, and the steps of the embedded database are not news here.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        click.echo(asyncio.run(_on_database(database_url, state_dir, work, make=make)))
    except FlowError as error:
        raise click.ClickException(error.message) from error


async def _on_database(
    database_url: str | None, state_dir: Path | None, work: _Work, *, make: bool
) -> str:
    from flow_server.storage.embedded import EmbeddedPostgres, home_in  # noqa: PLC0415
    from flow_server.storage.pg_account import default_state_dir  # noqa: PLC0415

    if database_url:
        return await _work_on(database_url, work)
    embedded = EmbeddedPostgres(home_in(state_dir or default_state_dir()))
    if not make and not embedded.exists:
        raise NotFound(
            f"there is no embedded database in {embedded.data_dir}: name one with "
            "--database-url or --state-dir",
            kind=Kind.SERVER,
        )
    try:
        return await _work_on(await embedded.start(), work)
    finally:
        await embedded.aclose()


async def _work_on(database_url: str, work: _Work) -> str:
    from flow_server.storage.address import parse  # noqa: PLC0415
    from flow_server.storage.engine import make_engine, wait_for_database  # noqa: PLC0415

    address = parse(database_url)
    await wait_for_database(address, timeout_s=10)
    engine = make_engine(address)
    try:
        return await work(engine)
    finally:
        await engine.dispose()
