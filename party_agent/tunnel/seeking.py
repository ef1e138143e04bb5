"""Looks for coordinators until they listen: a party is not launched before."""

import asyncio
from collections.abc import Callable

from flow_contract.assignments import WorkloadSpec
from flow_contract.coordination import Peer
from party_agent.clock import Clock
from party_agent.tunnel import members
from party_agent.tunnel.carrier import Carrier

# Between two looks: what a start may take longer for it.
EVERY_S = 0.25


class Seeker:
    """Looks for the coordinators of party runs; `found` is called with each of them, once."""

    def __init__(self, *, carrier: Carrier, clock: Clock, found: Callable[[str], None]) -> None:
        self._carrier = carrier
        self._clock = clock
        self._found = found
        self._reached: set[str] = set()
        self._searches: dict[str, asyncio.Task[None]] = {}

    def has_reached(self, spec: WorkloadSpec) -> bool:
        """Say whether the coordinator has listened; if not, begin to look for it.

        A run without one has nobody to wait for.
        """
        party_run_id = spec.party_run_id
        peer = members.coordinator_of(spec)
        if peer is None or party_run_id in self._reached:
            return True
        if party_run_id not in self._searches:
            task = asyncio.create_task(self._seek(spec, peer))
            self._searches[party_run_id] = task
        return False

    async def forget(self, party_run_id: str) -> None:
        """Look no longer. May be called twice."""
        self._reached.discard(party_run_id)
        task = self._searches.pop(party_run_id, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def aclose(self) -> None:
        """Look for nobody any more. May be called twice."""
        for party_run_id in list(self._searches):
            await self.forget(party_run_id)

    async def _seek(self, spec: WorkloadSpec, peer: Peer) -> None:
        while not await self._carrier.probe(spec, peer, spec.coordinator_ports[0]):
            await self._clock.sleep(EVERY_S)
        self._reached.add(spec.party_run_id)
        self._found(spec.party_run_id)
