"""Bringing desired rows to the agents that are connected here.

One task does all of it: it takes what was woken since the last round, reads it in one or two
statements and hands it to the sessions. Because nobody else reads, a session never gets an
older picture after a newer one.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from flow_contract.assignments import Assignment
from flow_contract.runs import Snapshot
from flow_server.domain.rosters import Roster
from flow_server.hub.registry import Registry
from flow_server.hub.sessions import Session
from flow_server.storage.assignments import AssignmentReader, Told
from flow_server.storage.database import Database

# Told of what is on its way, and since when it was read, in nanoseconds since 1970.
OnOffered: TypeAlias = Callable[[Sequence[Assignment], int], None]


def _tell_nobody(_assignments: Sequence[Assignment], _began_ns: int) -> None:
    pass


class DeliveryService:
    """Delivers assignments. A wake-up says where to look; the rows are the truth."""

    def __init__(
        self, database: Database, registry: Registry, *, on_offered: OnOffered = _tell_nobody
    ) -> None:
        self._database = database
        self._on_offered = on_offered
        self._registry = registry
        self._reader = AssignmentReader()
        self._runs: set[str] = set()
        self._parties: set[str] = set()
        self._woken = asyncio.Event()

    def wake_run(self, run_id: str) -> None:
        """Look at this run's party runs soon."""
        self._runs.add(run_id)
        self._woken.set()

    def remember(self, run_id: str, snapshot: Snapshot, roster: Roster) -> None:
        """Keep in mind what never changes of a run that is being stored here."""
        self._reader.remember(run_id, snapshot, roster)

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
        began_ns = time.time_ns()
        # Those that are here before the rows are read: a newer one is sent its own set.
        sessions = {session.federated_id: session for session in self._registry}
        whole = [federated_id for federated_id in sessions if federated_id in federated_ids]
        rest = [federated_id for federated_id in sessions if federated_id not in federated_ids]
        complete, partial = Told(epochs={}), Told(epochs={})
        async with self._database.glance() as connection:
            if whole:
                complete = await self._reader.of_parties(connection, whole)
            if run_ids and rest:
                partial = await self._reader.of_runs(connection, list(run_ids), rest)
        changed = list(partial.epochs)
        # A connection that is no longer the party's present one receives nothing.
        self._registry.keep(complete.epochs, among=[sessions[party] for party in whole])
        self._registry.keep(partial.epochs, among=[sessions[party] for party in changed])
        _offer(complete.assignments, [sessions[party] for party in whole], is_complete=True)
        _offer(partial.assignments, [sessions[party] for party in changed], is_complete=False)
        # Not those of a complete set: who comes back is told of what it had heard of.
        self._on_offered(partial.assignments, began_ns)


def _offer(
    assignments: Iterable[Assignment], sessions: Iterable[Session], *, is_complete: bool
) -> None:
    by_party: dict[str, list[Assignment]] = defaultdict(list)
    for item in assignments:
        by_party[item.spec.federated_id].append(item)
    for session in sessions:
        session.offer(by_party[session.federated_id], complete=is_complete)
