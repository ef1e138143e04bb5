"""One party for tests: a whole agent, its state directory and its engine, which outlive it."""

import asyncio

from party_agent.app import Agent
from party_agent.gpus import GpuInventory
from party_agent.runtime.memory import MemoryRuntime
from party_agent.runtime.memory_state import MemoryState
from party_agent.settings import AgentSettings


class Site:
    """One party's machine: a state directory and an engine that outlive its agents."""

    def __init__(self, path, server, *, clock=None, **settings):
        self._clock = clock
        self.state = MemoryState()
        self.settings = AgentSettings(
            insecure=True,
            server=server.address,
            party="hospital-a",
            runtime="memory",
            state_dir=path,
            first_backoff_s=0.01,
            max_backoff_s=0.1,
            **settings,
        )
        self.running = None

    async def start(self):
        self.agent = Agent(
            self.settings,
            MemoryRuntime(self.state),
            gpus=GpuInventory(ids=("0", "1")),
            clock=self._clock,
        )
        self.running = asyncio.create_task(self.agent.run())

    async def kill(self):
        """End the agent with no chance to say anything."""
        if self.running is not None:
            self.running.cancel()
            await asyncio.gather(self.running, return_exceptions=True)
            self.running = None

    async def leave(self):
        await self.agent.aclose()
        await self.running
        self.running = None
