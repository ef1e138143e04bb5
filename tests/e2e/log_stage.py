"""One site and one server in this process, each of which a test may end and begin again."""

import asyncio
import contextlib
import os

import pytest

from flow_server.app import FlowServer
from flow_server.settings import ServerSettings
from flow_server_sdk import AsyncFlowServerSdk
from party_agent.app import Agent
from party_agent.runtime.process import ProcessRuntime
from party_agent.settings import AgentSettings
from tests.server.flows import make_task
from tests.server.log_client import Reader

ONE = ["hospital-a"]


class Site:
    """One party whose agents come and go; its state directory and its workloads stay."""

    def __init__(self, address, folder, **settings):
        self._settings = AgentSettings(
            server=address,
            party="hospital-a",
            runtime="process",
            insecure=True,
            state_dir=folder,
            first_backoff_s=0.05,
            max_backoff_s=0.2,
            **settings,
        )
        self.folder = folder
        self.logs = folder / "logs"
        self._workloads = folder / "workloads"
        self._running = None

    async def start(self):
        self._workloads.mkdir(parents=True, exist_ok=True)
        runtime = ProcessRuntime(self._workloads, environ=os.environ)
        self.agent = Agent(self._settings, runtime)
        self._running = asyncio.create_task(self.agent.run())
        await self.agent.connected.wait()

    async def kill(self):
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
            self._running = None


@pytest.fixture
async def stage(database_url, tmp_path):
    """A server, a site and a client, each of which a test may end and begin again."""
    options = {
        "insecure": True,
        "http_port": 0,
        "database_url": database_url,
        "shutdown_grace_s": 0,
        "state_dir": tmp_path / "server",
    }
    async with contextlib.AsyncExitStack() as stack:
        server = FlowServer(ServerSettings(port=0, **options))
        await server.start()
        host, port = server.grpc_address.rsplit(":", 1)

        class Stage:
            address = server.grpc_address

            def __init__(self):
                self.server = server

            async def restart_server(self):
                await self.server.aclose()
                self.server = FlowServer(ServerSettings(port=int(port), **options))
                await self.server.start()

            def site(self, **settings):
                site = Site(self.address, tmp_path / "site", **settings)
                stack.push_async_callback(site.kill)
                return site

        stage = Stage()
        stage.sdk = await stack.enter_async_context(AsyncFlowServerSdk(host, port))
        yield stage
    await stage.server.aclose()


async def started(stage, command, *, name="task-1"):
    task_id = await make_task(stage.sdk, ONE, name=name, data="", command=["sh", "-c", command])
    answer = await stage.sdk.task.start(task_id)
    assert answer["ret_code"] == 0, answer
    return task_id


async def followed(stage, task_id):
    async with Reader(stage.address) as reader, asyncio.timeout(60):
        return await reader.read(task_id, follow=True).to_the_end()
