"""Several real server processes over one PostgreSQL, and real agents of scripted sites."""

import asyncio
import contextlib

import pytest

from flow_server_sdk import AsyncFlowServerSdk
from tests.memory_site import MemorySite
from tests.replicas.replica import Replica
from tests.tcp import TcpProxy


@pytest.fixture
async def make_replicas(database_url, tmp_path):
    """Start replicas over the test's database: make_replicas(number, setting=value, …)."""
    made = []

    async def make(number, *, url=database_url, **settings):
        new = [Replica(tmp_path / f"replica-{len(made) + n}", url, settings) for n in range(number)]
        made.extend(new)
        await asyncio.gather(*(asyncio.to_thread(replica.start) for replica in new))
        return new

    yield make
    await asyncio.gather(*(asyncio.to_thread(replica.kill) for replica in made))


@pytest.fixture
async def stack():
    """Whatever a test opens by hand, closed in the other order."""
    async with contextlib.AsyncExitStack() as opened:
        yield opened


@pytest.fixture
async def balance(stack):
    """Put one address before some replicas: balance(replica, …)."""

    async def balance(*replicas):
        return await stack.enter_async_context(TcpProxy(*(each.address for each in replicas)))

    return balance


@pytest.fixture
async def client_of(stack):
    """Make a client of a replica, or of whatever else has an address."""

    async def client_of(server):
        host, port = server.address.rsplit(":", 1)
        return await stack.enter_async_context(AsyncFlowServerSdk(host, port))

    return client_of


@pytest.fixture
async def make_site(stack, tmp_path):
    """Start a party's agent: make_site(party, server)."""

    async def make_site(party, server):
        site = MemorySite(party, server.address, tmp_path / party)
        stack.push_async_callback(site.kill)
        return await site.start()

    return make_site
