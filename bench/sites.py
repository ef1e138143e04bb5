"""Simulated sites: real agents with the memory runtime, many in one event loop.

    python -m bench.sites HOST:PORT PREFIX COUNT [FIRST_BACKOFF_S MAX_BACKOFF_S]

Parties are PREFIX-0000 and so on. Says {"connected": n} when all are, and for every run
{"step": "accepted", "at_s": t} and the same for "prepared" and "running" when the last of its
parties knows that its report of that step, or a later one, is committed. The time is of the
clock that all processes of a machine share.
"""

import asyncio
import contextlib
import gc
import json
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from bench.limits import allow_many_files
from flow_contract.assignments import Assignment
from party_agent import logs
from party_agent.app import Agent
from party_agent.runtime.memory import MemoryRuntime
from party_agent.settings import AgentSettings
from party_agent.units import Units

# A scripted workload reports in this order: preparing, prepared, launching, running.
STEPS = {"accepted": 1, "prepared": 2, "running": 4}


class Milestones:
    """Tells when the party runs of a run have all come to each step."""

    def __init__(self) -> None:
        self._run_of: dict[str, str] = {}
        self._sizes: dict[str, int] = {}
        self._reached: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self._told: set[tuple[str, str]] = set()

    def watch(self, units: Units) -> None:
        """Listen to what the server tells one agent."""
        assign, acknowledge = units.assign, units.acknowledge

        def assigned(assignments: Iterable[Assignment], **rest: Any) -> None:
            assignments = list(assignments)
            assign(assignments, **rest)
            for item in assignments:
                self._run_of[item.spec.party_run_id] = item.spec.run_id
                self._sizes[item.spec.run_id] = len(item.spec.parties)

        def acknowledged(party_run_id: str, sequence: int) -> None:
            acknowledge(party_run_id, sequence)
            for step, number in STEPS.items():
                if sequence >= number:
                    self._reach(step, party_run_id)

        units.assign, units.acknowledge = assigned, acknowledged  # type: ignore[method-assign]  # the bench listens in

    def _reach(self, step: str, party_run_id: str) -> None:
        run_id = self._run_of[party_run_id]
        if (run_id, step) in self._told:
            return
        reached = self._reached[(run_id, step)]
        reached.add(party_run_id)
        if len(reached) == self._sizes[run_id]:
            self._told.add((run_id, step))
            print(json.dumps({"step": step, "at_s": time.monotonic()}), flush=True)


async def main(
    server: str, prefix: str, count: int, first_backoff_s: float = 0.5, max_backoff_s: float = 5
) -> None:
    allow_many_files()
    milestones = Milestones()
    agents = []
    for number in range(count):
        settings = AgentSettings(
            insecure=True,
            server=server,
            party=f"{prefix}-{number:04}",
            runtime="memory",
            first_backoff_s=first_backoff_s,
            max_backoff_s=max_backoff_s,
        )
        agent = Agent(settings, MemoryRuntime())
        milestones.watch(agent.units)
        agents.append(agent)
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked.set)
    async with asyncio.TaskGroup() as group:
        for number, agent in enumerate(agents):
            group.create_task(agent.run())
            if number % 50 == 49:
                await agent.connected.wait()
        for agent in agents:
            await agent.connected.wait()
        # At real sites nobody's collector walks a thousand agents.
        gc.disable()
        print(json.dumps({"connected": count}), flush=True)
        await asked.wait()
        for agent in agents:
            agent.close_soon()


if __name__ == "__main__":
    with (
        contextlib.suppress(KeyboardInterrupt),
        logs.configured(level="warning", as_json=True),
    ):
        asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), *map(float, sys.argv[4:])))
