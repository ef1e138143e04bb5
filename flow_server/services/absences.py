"""What time and absence do to runs: deadlines pass, leases expire."""

from collections.abc import Callable

from flow_contract.lifecycle import Desired
from flow_contract.reasons import Reason
from flow_server.services import transitions
from flow_server.storage import absences, runs
from flow_server.storage.database import Connection, Database


class AbsenceService:
    """Applies deadlines and expired leases; any replica may, at any time.

    After this replica was away itself (at its start, or because the database did not answer), a
    silent party is not absent before `return_grace_s`: nobody could renew its lease, and its
    agent may not have found the way back yet.
    """

    def __init__(
        self,
        database: Database,
        *,
        lease_s: float,
        return_grace_s: float,
        clock_s: Callable[[], float],
    ) -> None:
        self._database = database
        self._lease_s = lease_s
        self._return_grace_s = return_grace_s
        self._clock_s = clock_s
        self._looked_at_s: float | None = None
        self._judges_from_s = 0.0

    async def sweep(self) -> int:
        """Apply what is due now; return how many runs were looked at."""
        return await self._database.repeatable(self._sweep)

    async def _sweep(self, connection: Connection) -> int:
        candidates = await absences.lock_candidates(connection)
        may_judge = self._may_judge()
        if not candidates:
            return 0
        overdue = await absences.overdue_runs(connection, candidates)
        for run in await runs.lock_runs(connection, sorted(overdue)):
            if run.facts.desired is Desired.PREPARED:
                await transitions.stop(connection, run, Reason.START_TIMED_OUT)
        if not may_judge:
            return len(candidates)
        absent = await absences.lock_absent_parties(connection, candidates)
        changed = await absences.apply_absence(connection, candidates, absent)
        await transitions.settle(connection, await runs.lock_runs(connection, sorted(changed)))
        return len(candidates)

    def _may_judge(self) -> bool:
        now_s = self._clock_s()
        # Half a lease: a gap that no lease can have run out in, counted from its last renewal.
        if self._looked_at_s is None or now_s - self._looked_at_s > self._lease_s / 2:
            self._judges_from_s = now_s + self._return_grace_s
        self._looked_at_s = now_s
        return now_s >= self._judges_from_s
