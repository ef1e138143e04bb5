"""A real flow server on a real PostgreSQL and real agents, all in this process."""

import pytest

from flow_server.app import FlowServer
from flow_server.settings import ServerSettings
from flow_server_sdk import AsyncFlowServerSdk
from tests.e2e.log_stage import stage
from tests.memory_site import MemorySite

__all__ = ["stage"]


@pytest.fixture
async def server(database_url):
    server = FlowServer(
        ServerSettings(
            insecure=True, port=0, http_port=0, database_url=database_url, shutdown_grace_s=0
        )
    )
    await server.start()
    yield server
    await server.aclose()


@pytest.fixture
async def sdk(server):
    host, port = server.grpc_address.rsplit(":", 1)
    async with AsyncFlowServerSdk(host, port) as sdk:
        yield sdk


@pytest.fixture
async def make_site(server, tmp_path):
    """Start an agent for a party; all end with the test."""
    sites = []

    async def make_site(party, **options):
        sites.append(MemorySite(party, server.grpc_address, tmp_path / party, **options))
        return await sites[-1].start()

    yield make_site
    for site in sites:
        await site.kill()
