"""An end that happened during a partition, until `task.wait` shows it after the partition."""

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import packets
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


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A kind of partition: `cut` lasts as long as its context, on the network's port."""

    name: str
    cut: Callable[[Network, int], contextlib.AbstractContextManager[None]]


def measure(server: Server, folder: Path, partition_s: float) -> list[Row]:
    """Return a row for each kind of partition that can be made here."""
    kinds = [Cut(name="bytes held", cut=_held)]
    if problem := packets.why_not():
        print(f"no partition that drops packets: {problem}", file=sys.stderr)
    else:
        kinds.append(Cut(name="packets dropped", cut=_dropped))
    with logs.configured(level="error", as_json=True):
        return [
            _row(kind, partition_s, asyncio.run(_measure(server, folder, kind, partition_s)))
            for kind in kinds
        ]


def _held(network: Network, port: int) -> contextlib.AbstractContextManager[None]:
    del port
    return network.cut()


def _dropped(network: Network, port: int) -> contextlib.AbstractContextManager[None]:
    del network
    return packets.dropped(port)


def _row(kind: Cut, partition_s: float, took_s: list[float]) -> Row:
    return Row(
        measure=f"partition of {partition_s:.0f} s, {kind.name}, {PARTIES} sites: "
        "end seen after it",
        value=f"{spread(took_s, 's')}, slowest {max(took_s):.1f} s",
        reference=f"longest back-off: {MAX_BACKOFF_S:.0f} s",
        ratio=percentile(took_s, 100) / MAX_BACKOFF_S,
    )


async def _measure(server: Server, folder: Path, kind: Cut, partition_s: float) -> list[float]:
    """Return the seconds from the network's return until each party's end was seen."""
    network = Network(server.host, server.port)
    word = kind.name.split()[0]
    states = {f"{word}-{number}": MemoryState() for number in range(PARTIES)}
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
            port = int(address.rpartition(":")[2])
            return await _cut(sdk, kind.cut(network, port), states, partition_s)
        finally:
            for agent in agents:
                agent.close_soon()


async def _cut(
    sdk: AsyncFlowServerSdk,
    partition: contextlib.AbstractContextManager[None],
    states: dict[str, MemoryState],
    partition_s: float,
) -> list[float]:
    name = f"bench partition {next(iter(states))}"
    template = data_of(await sdk.template.create(name, "simulated", "/", ["run"]))
    parties = [{"federated_id": party, "federated_data": ""} for party in states]
    task = data_of(await sdk.task.create(name, template["template_id"], "", parties))
    task_id = str(task["task_id"])
    data_of(await sdk.task.start(task_id))
    seen = Seen()
    waiting = asyncio.create_task(sdk.task.wait(task_id, on_change=seen.show))
    for party in states:
        await seen.moment(party, PartyRunState.RUNNING)
    with partition:
        await asyncio.sleep(partition_s / 2)
        for state in states.values():
            for party_run_id in list(state.workloads):
                state.end(party_run_id, 0)
        await asyncio.sleep(partition_s / 2)
    began_s = time.monotonic()
    async with asyncio.timeout(SEEN_S):
        data_of(await waiting)
    return [await seen.moment(party, PartyRunState.SUCCEEDED) - began_s for party in states]
