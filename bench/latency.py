"""A status change at a site until `task.wait` shows it, beside what it can't do without.

Those are a bare relay of one message over two grpc.aio streams, and one durable commit on the
same PostgreSQL.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import grpc

from bench.figures import percentile
from bench.flows import data_of
from bench.processes import Server, child
from bench.table import Row
from flow_contract.lifecycle import PartyRunState
from flow_server_sdk import AsyncFlowServerSdk
from party_agent import logs
from party_agent.app import Agent
from party_agent.runtime.memory import MemoryRuntime
from party_agent.runtime.memory_state import MemoryState
from party_agent.settings import AgentSettings

PARTIES = 10
CHANGES = 400
PAYLOAD = bytes(200)
DEADLINE_S = 60.0


@dataclass(kw_only=True)
class Samples:
    """Seconds, one entry per change."""

    changes: list[float] = field(default_factory=list)
    relays: list[float] = field(default_factory=list)
    commits: list[float] = field(default_factory=list)


class Seen:
    """What a wait has shown so far: when each party's state was first seen."""

    def __init__(self) -> None:
        self._moments: dict[tuple[str, str], float] = {}
        self._news = asyncio.Event()

    def show(self, data: dict[str, Any]) -> None:
        """Take over one answer of task.wait."""
        now_s = time.monotonic()
        for party in data["party_status"]:
            self._moments.setdefault((party["federated_id"], party["state"]), now_s)
        self._news.set()

    async def moment(self, party: str, state: PartyRunState) -> float:
        """Return when the party was first seen in this state, as soon as it is."""
        async with asyncio.timeout(DEADLINE_S):
            while (party, str(state)) not in self._moments:
                self._news.clear()
                await self._news.wait()
        return self._moments[(party, str(state))]


def measure(server: Server, folder: Path) -> list[Row]:
    """Return the rows on latency."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(logs.configured(level="warning", as_json=True))
        bare = child(stack, "bare", ["-m", "bench.bare"], folder)
        samples = asyncio.run(_measure(server, folder, str(bare.hear()["address"])))
    return [_row(samples, 50), _row(samples, 99)]


def _row(samples: Samples, percent: float) -> Row:
    change, relay, commit = (
        percentile(values, percent) * 1e3
        for values in (samples.changes, samples.relays, samples.commits)
    )
    return Row(
        measure=f"change at a site to task.wait, p{percent}, {len(samples.changes)} changes",
        value=f"{change:.1f} ms",
        reference=f"bare relay {relay:.1f} ms + one commit {commit:.1f} ms",
        ratio=change / (relay + commit),
    )


async def _measure(server: Server, folder: Path, bare_address: str) -> Samples:
    samples = Samples()
    async with contextlib.AsyncExitStack() as stack:
        relay = await stack.enter_async_context(_relay(bare_address))
        database = await asyncpg.connect(server.database_url)
        stack.push_async_callback(database.close)
        await database.execute("CREATE TABLE bench_commits (number int)")
        sdk = await stack.enter_async_context(AsyncFlowServerSdk(server.host, server.port))
        states = {f"latency-{number}": MemoryState() for number in range(PARTIES)}
        for party, state in states.items():
            await stack.enter_async_context(_agent(server, folder, party, state))
        task_id = await _make_task(sdk, list(states))
        while len(samples.changes) < CHANGES:
            seen = Seen()
            data_of(await sdk.task.start(task_id))
            waiting = asyncio.create_task(sdk.task.wait(task_id, on_change=seen.show))
            for party in states:
                await seen.moment(party, PartyRunState.RUNNING)
            for party, state in states.items():
                samples.relays.append(await relay())
                samples.commits.append(await _commit(database))
                began_s = time.monotonic()
                for party_run_id in list(state.workloads):
                    state.end(party_run_id, 0)
                moment_s = await seen.moment(party, PartyRunState.SUCCEEDED)
                samples.changes.append(moment_s - began_s)
            data_of(await waiting)
    return samples


async def _make_task(sdk: AsyncFlowServerSdk, parties: list[str]) -> str:
    template = await sdk.template.create("bench latency", "simulated", "/", ["run"])
    task = await sdk.task.create(
        "bench latency",
        data_of(template)["template_id"],
        "",
        [{"federated_id": party, "federated_data": ""} for party in parties],
    )
    return str(data_of(task)["task_id"])


@contextlib.asynccontextmanager
async def _agent(
    server: Server, folder: Path, party: str, state: MemoryState
) -> AsyncIterator[None]:
    # A state folder: a change is journaled, and so synced to the disk, before it is reported.
    settings = AgentSettings(
        insecure=True,
        server=server.address,
        party=party,
        runtime="memory",
        state_dir=folder / party,
    )
    agent = Agent(settings, MemoryRuntime(state))
    async with asyncio.TaskGroup() as group:
        group.create_task(agent.run())
        await agent.connected.wait()
        try:
            yield
        finally:
            await agent.aclose()


@contextlib.asynccontextmanager
async def _relay(address: str) -> AsyncIterator[Any]:
    """Yield what sends one message over the bare server and returns the seconds it took."""
    async with (
        grpc.aio.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as site,
        grpc.aio.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as client,
    ):
        sending: Any = site.stream_stream("/bare/Relay")()
        watching: Any = client.stream_stream("/bare/Relay")()
        # A stream is there for the server once its first message is.
        await watching.write(b"")
        await asyncio.sleep(0.2)
        await sending.write(b"")
        await watching.read()

        async def once() -> float:
            began_s = time.monotonic()
            await sending.write(PAYLOAD)
            await watching.read()
            return time.monotonic() - began_s

        yield once
        sending.cancel()
        watching.cancel()


async def _commit(database: "asyncpg.Connection[Any]") -> float:
    began_s = time.monotonic()
    await database.execute("INSERT INTO bench_commits VALUES (1)")
    return time.monotonic() - began_s
