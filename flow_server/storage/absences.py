"""What time and absence do to runs: four rules, each one statement with its events.

A party counts as absent when its lease has expired and it has no owner: its server saw the
connection end, or vanished so long ago that the party was given up; a short cut is not an
absence. Only a start that it has said nothing about, and whose deadline is over, does not wait
for the lease. The party rows are locked while a rule looks at them, so that a party that
connects at the same moment is either seen as present or reads its assignments after the rule
has been applied.
"""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Interval, TextClause, bindparam, text

from flow_contract.lifecycle import PartyRunEvent, PartyRunState, sources
from flow_contract.reasons import SENTENCES, Reason
from flow_server.storage.database import Connection

_CANDIDATES = text(
    """
    SELECT run_id FROM runs
    WHERE ended_at IS NULL AND (
      (desired = 'prepared' AND prepare_deadline_at < now())
      OR ((desired = 'stopped' OR launch_ordered_at IS NOT NULL OR connect_deadline_at < now())
          AND EXISTS (
            SELECT FROM party_runs JOIN parties USING (federated_id)
            WHERE party_runs.run_id = runs.run_id AND party_runs.finished_at IS NULL
              AND party_runs.state <> 'lost'
              AND parties.owner_id IS NULL AND parties.lease_expires_at < now()))
      OR (desired = 'prepared' AND connect_deadline_at < now()
          AND EXISTS (
            SELECT FROM party_runs JOIN parties USING (federated_id)
            WHERE party_runs.run_id = runs.run_id AND parties.owner_id IS NULL
              AND party_runs.state = 'pending' AND party_runs.report_sequence = 0)))
    ORDER BY run_id FOR UPDATE SKIP LOCKED
    """
)

_LOCK_ABSENT = text(
    """
    SELECT federated_id, lease_expires_at < now() AS is_absent FROM parties
    WHERE owner_id IS NULL AND federated_id IN (
      SELECT federated_id FROM party_runs
      WHERE run_id = ANY(CAST(:run_ids AS text[])) AND finished_at IS NULL)
    ORDER BY federated_id FOR UPDATE
    """
)

_GIVE_UP = text(
    """
    WITH orphans AS (
      SELECT federated_id FROM parties
      WHERE owner_id IS NOT NULL AND lease_expires_at < now() - CAST(:grace AS interval)
      ORDER BY federated_id FOR UPDATE SKIP LOCKED
    )
    UPDATE parties SET owner_id = NULL
    FROM orphans WHERE parties.federated_id = orphans.federated_id
    """
).bindparams(bindparam("grace", type_=Interval))

_OVERDUE = text(
    """
    SELECT run_id FROM runs
    WHERE run_id = ANY(CAST(:run_ids AS text[])) AND desired = 'prepared'
      AND prepare_deadline_at < now()
    """
)


def _rule(which_runs: str, cause: str) -> TextClause:
    return text(
        f"""
        WITH moved AS (
          UPDATE party_runs AS new
          SET state = :state, reason = {cause}, message = :message,
              finished_at = CASE WHEN :is_final THEN now() END
          FROM party_runs AS old JOIN runs USING (run_id)
          WHERE old.party_run_id = new.party_run_id
            AND new.run_id = ANY(CAST(:run_ids AS text[]))
            AND new.federated_id = ANY(CAST(:absent AS text[]))
            AND new.state = ANY(CAST(:sources AS text[]))
            AND {which_runs}
          RETURNING new.run_id, new.party_run_id, old.state AS from_value, new.reason
        ), logged AS (
          INSERT INTO events (run_id, party_run_id, side, from_value, to_value, reason)
          SELECT run_id, party_run_id, 'state', from_value, :state, reason FROM moved
        )
        SELECT run_id FROM moved
        """  # noqa: S608 - both parts are literals of this file
    )


# Nothing was launched anywhere yet, so the party can't be running anything of this run.
_REFUSE_OFFLINE = _rule(
    "runs.desired = 'prepared' AND runs.connect_deadline_at < now()", "'party_offline'"
)
# Not one word of it on this run, and not there now. Whoever has said a word may be cut off for a
# moment, as at every restart of a replica.
_REFUSE_SILENT = _rule(
    "runs.desired = 'prepared' AND runs.connect_deadline_at < now()"
    " AND old.state = 'pending' AND old.report_sequence = 0",
    "'party_offline'",
)
_STOP_NEVER_LAUNCHED = _rule(
    "runs.desired = 'stopped' AND runs.launch_ordered_at IS NULL", "runs.cause"
)
# It may be running: nobody knows until the party is back.
_LOSE = _rule("runs.launch_ordered_at IS NOT NULL", "'lease_expired'")


@dataclass(frozen=True, kw_only=True)
class Away:
    """Held parties: those that count as absent, and all that are not connected now."""

    absent: list[str]
    unconnected: list[str]


async def give_up_orphans(connection: Connection, grace: timedelta) -> int:
    """Take the owner from parties whose lease it let run out longer ago; return how many."""
    return (await connection.execute(_GIVE_UP, {"grace": grace})).rowcount


async def lock_candidates(connection: Connection) -> list[str]:
    """Return, and hold, the runs that time or absence may touch now."""
    return list((await connection.execute(_CANDIDATES)).scalars())


async def lock_absent_parties(connection: Connection, run_ids: list[str]) -> Away:
    """Return, and hold, the absent parties of these runs."""
    rows = (await connection.execute(_LOCK_ABSENT, {"run_ids": run_ids})).all()
    return Away(
        absent=[row.federated_id for row in rows if row.is_absent],
        unconnected=[row.federated_id for row in rows],
    )


async def overdue_runs(connection: Connection, run_ids: list[str]) -> frozenset[str]:
    """Return those of the runs whose prepare deadline has passed."""
    return frozenset((await connection.execute(_OVERDUE, {"run_ids": run_ids})).scalars())


async def apply_absence(connection: Connection, run_ids: list[str], away: Away) -> frozenset[str]:
    """Refuse, stop or lose the absent parties' runs; return the runs that changed."""
    changed: set[str] = set()
    refuse = (PartyRunEvent.REFUSE, PartyRunState.REFUSED, Reason.PARTY_OFFLINE)
    stop = (PartyRunEvent.STOP, PartyRunState.STOPPED, Reason.NONE)
    lose = (PartyRunEvent.LEASE_EXPIRED, PartyRunState.LOST, Reason.LEASE_EXPIRED)
    for rule, parties, (event, state, reason) in (
        (_REFUSE_OFFLINE, away.absent, refuse),
        (_REFUSE_SILENT, away.unconnected, refuse),
        (_STOP_NEVER_LAUNCHED, away.absent, stop),
        (_LOSE, away.absent, lose),
    ):
        result = await connection.execute(
            rule,
            {
                "run_ids": run_ids,
                "absent": parties,
                "state": state.value,
                "message": SENTENCES[reason] or "Stopped before anything was started.",
                "is_final": state is not PartyRunState.LOST,
                "sources": [source.value for source in sources(event)],
            },
        )
        changed.update(result.scalars())
    return frozenset(changed)
