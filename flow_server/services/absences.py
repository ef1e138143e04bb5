"""What time and absence do to runs: deadlines pass, leases expire."""

from flow_contract.lifecycle import Desired
from flow_contract.reasons import Reason
from flow_server.services import transitions
from flow_server.storage import absences, runs
from flow_server.storage.database import Database


class AbsenceService:
    """Applies deadlines and expired leases; any replica may, at any time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def sweep(self) -> int:
        """Apply what is due now; return how many runs were looked at."""
        async with self._database.transaction() as connection:
            candidates = await absences.lock_candidates(connection)
            if not candidates:
                return 0
            overdue = await absences.overdue_runs(connection, candidates)
            for run in await runs.lock_runs(connection, sorted(overdue)):
                if run.facts.desired is Desired.PREPARED:
                    await transitions.stop(connection, run, Reason.START_TIMED_OUT)
            absent = await absences.lock_absent_parties(connection, candidates)
            changed = await absences.apply_absence(connection, candidates, absent)
            await transitions.settle(connection, await runs.lock_runs(connection, sorted(changed)))
            return len(candidates)
