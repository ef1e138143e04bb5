"""What time and absence do to runs: three rules, each one statement with its events.

A party counts as absent when its lease has expired and it has no owner: its server saw the
connection end, or vanished so long ago that the party was given up. The party rows are locked
while a rule looks at them, so that a party that connects at the same moment is either seen as
present or reads its assignments after the rule has been applied.
"""

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
              AND parties.owner_id IS NULL AND parties.lease_expires_at < now())))
    ORDER BY run_id FOR UPDATE SKIP LOCKED
    """
)

_LOCK_ABSENT = text(
    """
    SELECT federated_id FROM parties
    WHERE owner_id IS NULL AND lease_expires_at < now() AND federated_id IN (
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
_STOP_NEVER_LAUNCHED = _rule(
    "runs.desired = 'stopped' AND runs.launch_ordered_at IS NULL", "runs.cause"
)
# It may be running: nobody knows until the party is back.
_LOSE = _rule("runs.launch_ordered_at IS NOT NULL", "'lease_expired'")


async def give_up_orphans(connection: Connection, grace: timedelta) -> int:
    """Take the owner from parties whose lease it let run out longer ago; return how many."""
    return (await connection.execute(_GIVE_UP, {"grace": grace})).rowcount


async def lock_candidates(connection: Connection) -> list[str]:
    """Return, and hold, the runs that time or absence may touch now."""
    return list((await connection.execute(_CANDIDATES)).scalars())


async def lock_absent_parties(connection: Connection, run_ids: list[str]) -> list[str]:
    """Return, and hold, the absent parties of these runs."""
    return list((await connection.execute(_LOCK_ABSENT, {"run_ids": run_ids})).scalars())


async def overdue_runs(connection: Connection, run_ids: list[str]) -> frozenset[str]:
    """Return those of the runs whose prepare deadline has passed."""
    return frozenset((await connection.execute(_OVERDUE, {"run_ids": run_ids})).scalars())


async def apply_absence(
    connection: Connection, run_ids: list[str], absent: list[str]
) -> frozenset[str]:
    """Refuse, stop or lose the absent parties' runs; return the runs that changed."""
    changed: set[str] = set()
    for rule, event, state, reason in (
        (_REFUSE_OFFLINE, PartyRunEvent.REFUSE, PartyRunState.REFUSED, Reason.PARTY_OFFLINE),
        (_STOP_NEVER_LAUNCHED, PartyRunEvent.STOP, PartyRunState.STOPPED, Reason.NONE),
        (_LOSE, PartyRunEvent.LEASE_EXPIRED, PartyRunState.LOST, Reason.LEASE_EXPIRED),
    ):
        result = await connection.execute(
            rule,
            {
                "run_ids": run_ids,
                "absent": absent,
                "state": state.value,
                "message": SENTENCES[reason] or "Stopped before anything was started.",
                "is_final": state is not PartyRunState.LOST,
                "sources": [source.value for source in sources(event)],
            },
        )
        changed.update(result.scalars())
    return frozenset(changed)
