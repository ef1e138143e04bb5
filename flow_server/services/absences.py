"""What time and absence do to runs: deadlines pass, leases expire."""

from datetime import timedelta

import structlog

from flow_contract.lifecycle import Desired
from flow_contract.reasons import Reason
from flow_server.services import transitions
from flow_server.services.vigil import Vigil
from flow_server.storage import absences, runs
from flow_server.storage.database import Connection, Database

log = structlog.get_logger()


class AbsenceService:
    """Applies deadlines and expired leases; any replica may, at any time.

    A party whose server saw its connection end is absent when its lease has run out, also where
    a server has only just started. One whose server vanished is an orphan: it keeps
    `orphan_grace_s` more to find another server. After a time in which there may have been none
    (this replica's own start, or a database that did not answer) nobody stops being an orphan
    before this replica has served for `return_grace_s`.
    """

    def __init__(
        self,
        database: Database,
        *,
        vigil: Vigil,
        orphan_grace_s: float,
        return_grace_s: float,
    ) -> None:
        self._database = database
        self._vigil = vigil
        self._orphan_grace = timedelta(seconds=min(orphan_grace_s, return_grace_s))
        self._return_grace_s = return_grace_s

    async def sweep(self) -> int:
        """Apply what is due now; return how many runs were looked at."""
        if self._vigil.has_lasted(self._return_grace_s):
            # By itself: elsewhere whoever holds runs and parties took the runs first.
            async with self._database.transaction() as connection:
                given_up = await absences.give_up_orphans(connection, self._orphan_grace)
            if given_up:
                log.info("orphans_given_up", parties=given_up)
        return await self._database.repeatable(self._sweep)

    async def _sweep(self, connection: Connection) -> int:
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
