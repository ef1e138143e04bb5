"""Bringing desired rows to the agents that are connected here.

One task does all of it: it takes what was woken since the last round, reads it in one
transaction and hands it to the sessions. Because nobody else reads, a session never gets an
older picture after a newer one.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable

from flow_contract.assignments import Assignment
from flow_server.hub.registry import Registry
from flow_server.storage import party_runs
from flow_server.storage.database import Database


class DeliveryService:
    """Delivers assignments. A wake-up says where to look; the rows are the truth."""

    def __init__(self, database: Database, registry: Registry) -> None:
        self._database = database
        self._registry = registry
        self._runs: set[str] = set()
        self._parties: set[str] = set()
        self._woken = asyncio.Event()

    def wake_run(self, run_id: str) -> None:
        """Look at this run's party runs soon."""
        self._runs.add(run_id)
        self._woken.set()

    def wake_parties(self, federated_ids: Iterable[str]) -> None:
        """Send these parties their complete set soon."""
        self._parties.update(federated_ids)
        self._woken.set()

    async def run(self) -> None:
        """Deliver until cancelled.

        Raises:
            Unavailable: the database can't answer; what was woken is kept for the next `run`.
        """
        while True:
            await self._woken.wait()
            self._woken.clear()
            run_ids, self._runs = self._runs, set()
            federated_ids, self._parties = self._parties, set()
            try:
                await self._deliver(run_ids, federated_ids)
            except BaseException:
                self._runs |= run_ids
                self._parties |= federated_ids
                self._woken.set()
                raise

    async def _deliver(self, run_ids: set[str], federated_ids: set[str]) -> None:
        connected = self._registry.connected()
        whole = [federated_id for federated_id in connected if federated_id in federated_ids]
        rest = [federated_id for federated_id in connected if federated_id not in federated_ids]
        async with self._database.snapshot() as connection:
            complete = await party_runs.assignments_of_parties(connection, whole) if whole else []
            partial = (
                await party_runs.assignments_of_runs(connection, list(run_ids), rest)
                if run_ids and rest
                else []
            )
        self._offer(complete, whole, is_complete=True)
        self._offer(partial, {item.spec.federated_id for item in partial}, is_complete=False)

    def _offer(
        self, assignments: Iterable[Assignment], parties: Iterable[str], *, is_complete: bool
    ) -> None:
        by_party: dict[str, list[Assignment]] = defaultdict(list)
        for item in assignments:
            by_party[item.spec.federated_id].append(item)
        for federated_id in parties:
            session = self._registry.get(federated_id)
            if session is not None:
                session.offer(by_party[federated_id], complete=is_complete)
