"""A real flow server on a real PostgreSQL, in this process, and an agent to script."""

from datetime import timedelta

import pytest

from flow_contract.outputs import OutputState
from flow_server.app import FlowServer
from flow_server.services.retention import RetentionService
from flow_server.settings import ServerSettings
from flow_server.storage.blobs import open_blobs
from flow_server.storage.database import Database
from flow_server_sdk import AsyncFlowServerSdk
from tests.server.agent_client import ScriptedAgent
from tests.server.flows import make_task
from tests.server.output_client import OutputPusher, OutputReader


@pytest.fixture
def server_options():
    return {}


@pytest.fixture
async def server(database_url, server_options, tmp_path):
    server = FlowServer(
        ServerSettings(
            insecure=True,
            port=0,
            http_port=0,
            database_url=database_url,
            state_dir=tmp_path / "state",
            shutdown_grace_s=0,
            **server_options,
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
async def connect(server):
    """Connect a scripted agent as one party; all are cut off at the end."""
    agents = []

    async def connect(federated_id, **inventory):
        agent = ScriptedAgent(server.grpc_address, federated_id, **inventory)
        agents.append(agent)
        await agent.connect()
        return agent

    yield connect
    for agent in agents:
        await agent.cut()


@pytest.fixture
def keeping(engine, tmp_path):
    def keeping(*, age=timedelta(0), runs_per_task=0):
        blobs = open_blobs(None, tmp_path / "state" / "blobs")
        return RetentionService(Database(engine), blobs, age=age, runs_per_task=runs_per_task)

    return keeping


@pytest.fixture
async def output_reader(server):
    async with OutputReader(server.grpc_address) as reader:
        yield reader


@pytest.fixture
async def running_one(sdk, connect):
    """A task that runs at one party: its id, what lets it end, and the party run."""
    agent = await connect("hospital-a")
    task_id = await make_task(sdk, ["hospital-a"])
    await sdk.task.start(task_id)
    await agent.prepare()
    item = await agent.launch()
    return task_id, lambda: agent.finish(item), item.spec.party_run_id


@pytest.fixture
async def pusher(server, running_one):
    async with OutputPusher(server.agents_address) as pusher:
        assert await pusher.hello(running_one[2]) is OutputState.OPEN
        yield pusher
