"""A real flow server on a real PostgreSQL and real agents, all in this process."""

import asyncio

import pytest

from flow_server.app import FlowServer
from flow_server.settings import ServerSettings
from flow_server_sdk import AsyncFlowServerSdk
from party_agent.app import Agent
from party_agent.gpus import GpuInventory
from party_agent.runtime.memory import MemoryRuntime
from party_agent.runtime.memory_state import MemoryState
from party_agent.settings import AgentSettings


class MemorySite:
    """One party with a scripted engine; `kill` and `start` are an agent's crash and return."""

    def __init__(self, party, server, path, *, gpus=()):
        self.state = MemoryState()
        self._gpus = GpuInventory(ids=gpus)
        self._settings = AgentSettings(
            server=server.grpc_address,
            party=party,
            runtime="memory",
            state_dir=path,
            first_backoff_s=0.05,
            max_backoff_s=0.5,
        )
        self._running = None

    async def start(self):
        self.agent = Agent(self._settings, MemoryRuntime(self.state), gpus=self._gpus)
        self._running = asyncio.create_task(self.agent.run())
        await self.agent.connected.wait()
        return self

    async def kill(self):
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
            self._running = None


@pytest.fixture
async def server(database_url):
    server = FlowServer(
        ServerSettings(port=0, http_port=0, database_url=database_url, shutdown_grace_s=0)
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
        sites.append(MemorySite(party, server, tmp_path / party, **options))
        return await sites[-1].start()

    yield make_site
    for site in sites:
        await site.kill()
