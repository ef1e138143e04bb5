"""An end that happened during a partition, until `task.wait` shows it after the partition."""

import asyncio
import contextlib
import time
from pathlib import Path

from bench.figures import percentile, spread
from bench.flows import data_of
from bench.latency import Seen
from bench.partition import Network
from bench.processes import Server
from bench.table import Row
from flow_contract.lifecycle import PartyRunState
from flow_server_sdk import AsyncFlowServerSdk
from party_agent import logs
from party_agent.app import Agent
from party_agent.runtime.memory import MemoryRuntime
from party_agent.runtime.memory_state import MemoryState
from party_agent.settings import AgentSettings

PARTIES = 20
# Beyond the longest back-off.
SEEN_S = 180.0
MAX_BACKOFF_S = float(AgentSettings.model_fields["max_backoff_s"].default)


def measure(server: Server, folder: Path, partition_s: float) -> list[Row]:
    """Return the row."""
    with logs.configured(level="error", as_json=True):
        took_s = asyncio.run(_measure(server, folder, partition_s))
    return [
        Row(
            measure=f"partition of {partition_s:.0f} s, {PARTIES} sites: end seen after it",
            value=f"{spread(took_s, 's')}, slowest {max(took_s):.1f} s",
            reference=f"longest back-off: {MAX_BACKOFF_S:.0f} s",
            ratio=percentile(took_s, 100) / MAX_BACKOFF_S,
        )
    ]


async def _measure(server: Server, folder: Path, partition_s: float) -> list[float]:
    """Return the seconds from the network's return until each party's end was seen."""
    network = Network(server.host, server.port)
    states = {f"cut-{number}": MemoryState() for number in range(PARTIES)}
    async with contextlib.AsyncExitStack() as stack:
        address = await stack.enter_async_context(network.serve())
        sdk = await stack.enter_async_context(AsyncFlowServerSdk(server.host, server.port))
        agents = [
            Agent(
                AgentSettings(
                    insecure=True,
                    server=address,
                    party=party,
                    runtime="memory",
                    state_dir=folder / party,
                ),
                MemoryRuntime(state),
            )
            for party, state in states.items()
        ]
        group = await stack.enter_async_context(asyncio.TaskGroup())
        for agent in agents:
            group.create_task(agent.run())
        try:
            for agent in agents:
                await agent.connected.wait()
            return await _cut(sdk, network, states, partition_s)
        finally:
            for agent in agents:
                agent.close_soon()


async def _cut(
    sdk: AsyncFlowServerSdk, network: Network, states: dict[str, MemoryState], partition_s: float
) -> list[float]:
    template = data_of(await sdk.template.create("bench partition", "simulated", "/", ["run"]))
    parties = [{"federated_id": party, "federated_data": ""} for party in states]
    task = data_of(await sdk.task.create("bench cut", template["template_id"], "", parties))
    task_id = str(task["task_id"])
    data_of(await sdk.task.start(task_id))
    seen = Seen()
    waiting = asyncio.create_task(sdk.task.wait(task_id, on_change=seen.show))
    for party in states:
        await seen.moment(party, PartyRunState.RUNNING)
    network.whole.clear()
    await asyncio.sleep(partition_s / 2)
    for state in states.values():
        for party_run_id in list(state.workloads):
            state.end(party_run_id, 0)
    await asyncio.sleep(partition_s / 2)
    began_s = time.monotonic()
    network.whole.set()
    async with asyncio.timeout(SEEN_S):
        data_of(await waiting)
    return [await seen.moment(party, PartyRunState.SUCCEEDED) - began_s for party in states]
