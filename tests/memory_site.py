"""One party with a scripted engine, its agent real, in this process."""

import asyncio

from party_agent.app import Agent
from party_agent.gpus import GpuInventory
from party_agent.runtime.memory import MemoryRuntime
from party_agent.runtime.memory_state import MemoryState
from party_agent.settings import AgentSettings


class MemorySite:
    """`kill` and `start` are an agent's crash and return; `state` is the engine's, and stays."""

    def __init__(self, party, address, path, *, gpus=()):
        self.state = MemoryState()
        self._gpus = GpuInventory(ids=gpus)
        self._settings = AgentSettings(
            insecure=True,
            server=address,
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
