"""A real flow server on a real PostgreSQL, in this process, and what it says of itself."""

import urllib.request
from asyncio import to_thread
from urllib.error import HTTPError

import pytest

from flow_server.app import FlowServer
from flow_server.settings import ServerSettings
from flow_server_sdk import AsyncFlowServerSdk
from tests.server.agent_client import ScriptedAgent


@pytest.fixture
async def start(database_url, tmp_path):
    """Start a server: start(setting=value)."""
    servers = []

    async def start(**options):
        settings = {
            "insecure": True,
            "port": 0,
            "http_port": 0,
            "database_url": database_url,
            "state_dir": tmp_path / "state",
            "shutdown_grace_s": 0,
        }
        servers.append(FlowServer(ServerSettings(**settings | options)))
        await servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        await server.aclose()


@pytest.fixture
async def server(start):
    return await start()


@pytest.fixture
async def sdk(server):
    host, port = server.grpc_address.rsplit(":", 1)
    async with AsyncFlowServerSdk(host, port) as sdk:
        yield sdk


@pytest.fixture
async def connect(server):
    """Connect a scripted agent as one party; all are cut off at the end."""
    agents = []

    async def connect(federated_id, **inventory):
        agents.append(ScriptedAgent(server.grpc_address, federated_id, **inventory))
        await agents[-1].connect()
        return agents[-1]

    yield connect
    for agent in agents:
        await agent.cut()


def _fetch(url):
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - our own
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.fixture
def fetch():
    """Ask over HTTP: status, text = await fetch(address, path)."""

    async def fetch(address, path):
        return await to_thread(_fetch, f"http://{address}{path}")

    return fetch
