"""A server, a site and a client in one process, each of which a test may end and begin again."""

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
from tests.e2e.outputs.scene import Scene
from tests.server.flows import make_task
from tests.server.output_client import OutputReader

ONE = ["hospital-a"]


class Site:
    """One party whose agents come and go; its state directory and its workloads stay."""

    def __init__(self, address, folder, **settings):
        self._settings = AgentSettings(
            **{
                "server": address,
                "party": "hospital-a",
                "runtime": "process",
                "insecure": True,
                "state_dir": folder,
                "first_backoff_s": 0.05,
                "max_backoff_s": 0.2,
                **settings,
            }
        )
        self.outputs = folder / "outputs"
        self.uploads = folder / "uploads"
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

    def made(self, name):
        """Return what the one workload of this site has made under a name."""
        (folder,) = self.outputs.iterdir()
        return (folder / name).read_bytes()


class Stage:
    """What a test acts on."""

    def __init__(self, options, folder, stack):
        self._options = options
        self._folder = folder
        self._stack = stack

    async def start(self, port=0):
        self.server = FlowServer(ServerSettings(port=port, **self._options))
        await self.server.start()
        self.address = self.server.grpc_address

    async def restart_server(self):
        port = int(self.address.rsplit(":", 1)[1])
        await self.server.aclose()
        await self.start(port)

    def site(self, **settings):
        site = Site(self.address, self._folder / "site", **settings)
        self._stack.push_async_callback(site.kill)
        return site

    async def started(self, command):
        task_id = await make_task(self.sdk, ONE, data="", command=["sh", "-c", command])
        answer = await self.sdk.task.start(task_id)
        assert answer["ret_code"] == 0, answer
        return task_id

    async def until(self, task_id, is_so):
        """Return what the only party has made once it is so; nobody tells of a change."""
        async with OutputReader(self.address) as reader, asyncio.timeout(100):
            while True:
                (party,) = (await reader.list(task_id)).parties
                if is_so(party):
                    return party
                await asyncio.sleep(0.02)

    async def complete(self, task_id):
        return await self.until(task_id, lambda party: party.complete)

    async def contents(self, task_id):
        """Return {name: content} of what a user can download."""
        async with OutputReader(self.address) as reader:
            names = await reader.names(task_id)
            return {name: await reader.content(task_id, name) for name in names}


@pytest.fixture
def short_folder(tmp_path_factory):
    # A socket's address has 107 bytes.
    return tmp_path_factory.mktemp("o")


@pytest.fixture
async def stage(database_url, short_folder):
    options = {
        "insecure": True,
        "http_port": 0,
        "database_url": database_url,
        "shutdown_grace_s": 0,
        "state_dir": short_folder / "server",
    }
    async with contextlib.AsyncExitStack() as stack:
        stage = Stage(options, short_folder, stack)
        await stage.start()
        host, port = stage.address.rsplit(":", 1)
        stage.sdk = await stack.enter_async_context(AsyncFlowServerSdk(host, port))
        yield stage
    await stage.server.aclose()


@pytest.fixture
def scene(cluster, tmp_path):
    with contextlib.ExitStack() as stack:
        yield lambda *options, **settings: Scene(stack, cluster, tmp_path, *options, **settings)
