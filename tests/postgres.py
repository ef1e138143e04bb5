"""A real PostgreSQL for tests: one cluster per session, one database per test.

    database_url    a URL of a fresh, migrated database
    empty_url       a URL of a fresh database with nothing in it
    engine          an engine on `database_url`

A test that uses one of them is marked `postgres`. Without PostgreSQL on the machine it is
skipped by name, and with CI=true it fails.
"""

import asyncio
import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from functools import cache
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from flow_contract.errors import Unavailable
from flow_server.storage import schema
from flow_server.storage.address import parse
from flow_server.storage.embedded import EmbeddedPostgres
from flow_server.storage.engine import make_engine
from flow_server.storage.pg_binaries import choose, installed

_TEMPLATE = "fedflow_template"
# Nothing of a test survives a power cut, and nothing needs to.
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
}


@cache
def _missing() -> str:
    try:
        choose(installed())
    except Unavailable as error:
        return error.message
    return ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "cluster" in getattr(item, "fixturenames", ()):
            item.add_marker("postgres")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("postgres") is None or not _missing():
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"PostgreSQL tests must run here, but {_missing()}", pytrace=False)
    pytest.skip(_missing())


class Cluster:
    """The session's PostgreSQL; makes and drops databases."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._migrated = False

    def url(self, name: str) -> str:
        return self._url.replace("/postgres?", f"/{name}?")

    def create(self, *, migrated: bool) -> str:
        """Make a database and return its name."""
        if migrated and not self._migrated:
            asyncio.run(self._make_template())
            self._migrated = True
        name = f"test_{uuid.uuid4().hex}"
        template = _TEMPLATE if migrated else "template0"
        asyncio.run(self._execute(f"CREATE DATABASE {name} TEMPLATE {template}"))
        return name

    def drop(self, name: str) -> None:
        # By force: a test that failed may have left a connection open.
        asyncio.run(self._execute(f"DROP DATABASE {name} WITH (FORCE)"))

    async def _make_template(self) -> None:
        await self._execute(f"CREATE DATABASE {_TEMPLATE} TEMPLATE template0")
        engine = make_engine(parse(self.url(_TEMPLATE)))
        try:
            await schema.upgrade(engine)
        finally:
            # A template must have no connections.
            await engine.dispose()

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self._url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    # Not pytest's own directory: that is closed to the account that PostgreSQL runs as.
    directory = Path(tempfile.mkdtemp(prefix="fedflow-tests-"))
    postgres = EmbeddedPostgres(directory, extra_settings=SETTINGS)
    try:
        yield Cluster(asyncio.run(postgres.start()))
    finally:
        asyncio.run(postgres.aclose())
        shutil.rmtree(directory)


@pytest.fixture
def database_url(cluster: Cluster) -> Iterator[str]:
    name = cluster.create(migrated=True)
    yield cluster.url(name)
    cluster.drop(name)


@pytest.fixture
def empty_url(cluster: Cluster) -> Iterator[str]:
    name = cluster.create(migrated=False)
    yield cluster.url(name)
    cluster.drop(name)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    made = make_engine(parse(database_url))
    yield made
    await made.dispose()
