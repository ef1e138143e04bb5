"""Runs moved as one set: compare-and-set by the lifecycle table, party runs, events, wake-ups.

One statement, so that a run's status, its desired side and what its party runs are wanted to
do never disagree.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flow_contract.lifecycle import DESIRED_MOVES, RUN_MOVES, is_final_status
from flow_server.domain.fold import RunFacts
from flow_server.storage.changes import DESIRED_CHANNEL, OBSERVED_CHANNEL
from flow_server.storage.database import Connection, StatementRefused
from flow_server.storage.runs import LockedRun
from flow_server.storage.statements import Statement


@dataclass(frozen=True, kw_only=True)
class Move:
    """A locked run and what it becomes. With `retry_after_s` it is repeated after that time."""

    run: LockedRun
    facts: RunFacts
    message: str = ""
    retry_after_s: float | None = None


_MOVE = Statement(
    """
    WITH wanted AS (
      SELECT * FROM unnest(
        CAST(:run_ids AS text[]), CAST(:from_status AS text[]), CAST(:from_desired AS text[]),
        CAST(:status AS text[]), CAST(:desired AS text[]), CAST(:causes AS text[]),
        CAST(:messages AS text[]), CAST(:is_final AS boolean[]),
        CAST(:retry_after_s AS double precision[]))
      AS wanted(run_id, from_status, from_desired, status, desired, cause, message, is_final,
                retry_after_s)
    ), folds AS (
      SELECT * FROM unnest(CAST(:stored AS text[]), CAST(:folded AS text[]))
      AS folds(stored, folded)
    ), desires AS (
      SELECT * FROM unnest(CAST(:held AS text[]), CAST(:aimed AS text[])) AS desires(held, aimed)
    ), moved AS (
      UPDATE runs AS new
      SET status = wanted.status, desired = wanted.desired, cause = wanted.cause,
          message = wanted.message,
          moved_at = CASE WHEN new.status <> wanted.status THEN now() ELSE new.moved_at END,
          ended_at = CASE WHEN wanted.is_final THEN now() END,
          retry_at = now() + make_interval(secs => wanted.retry_after_s),
          launch_ordered_at = CASE
            WHEN wanted.desired = 'running' AND new.launch_ordered_at IS NULL THEN now()
            ELSE new.launch_ordered_at END
      FROM wanted
      WHERE new.run_id = wanted.run_id
        AND new.status = wanted.from_status AND new.desired = wanted.from_desired
        AND (new.status = wanted.status
             OR (new.status, wanted.status) IN (SELECT stored, folded FROM folds))
        AND (new.desired = wanted.desired
             OR (new.desired, wanted.desired) IN (SELECT held, aimed FROM desires))
      RETURNING new.run_id, wanted.from_status, wanted.from_desired,
                new.status, new.desired, new.cause, new.retry_at
    ), redirected AS (
      UPDATE party_runs AS new SET desired = moved.desired, cause = moved.cause
      FROM moved JOIN party_runs AS old USING (run_id)
      WHERE moved.desired <> moved.from_desired
        AND old.party_run_id = new.party_run_id AND new.finished_at IS NULL
        AND (new.desired, moved.desired) IN (SELECT held, aimed FROM desires)
      RETURNING new.run_id, new.party_run_id, old.desired AS from_value, new.desired, new.cause
    ), logged AS (
      INSERT INTO events (run_id, party_run_id, side, from_value, to_value, reason)
      SELECT run_id, NULL, 'status', from_status, status, cause FROM moved
      WHERE from_status <> status
      UNION ALL
      SELECT run_id, NULL, 'desired', from_desired, desired, cause FROM moved
      WHERE from_desired <> desired
      UNION ALL
      SELECT run_id, party_run_id, 'desired', from_value, desired, cause FROM redirected
    ), told AS (
      INSERT INTO feed_events (run_id, task_id, owner, side, to_value)
      SELECT moved.run_id, task_id, owner, 'retry', 'due'
      FROM moved JOIN runs USING (run_id) JOIN tasks USING (task_id)
      WHERE from_status <> moved.status AND moved.retry_at IS NOT NULL
    )
    SELECT run_id, pg_notify(:desired_channel, run_id) FROM redirected GROUP BY run_id
    UNION ALL
    SELECT run_id, NULL FROM moved
    UNION ALL
    SELECT NULL, pg_notify(:observed_channel, task_id)
    FROM unnest(CAST(:task_ids AS text[])) AS task_id
    """
)

_FOLDS = [(stored.value, folded.value) for stored in RUN_MOVES for folded in RUN_MOVES[stored]]
_DESIRES = [(held.value, aimed.value) for held in DESIRED_MOVES for aimed in DESIRED_MOVES[held]]


async def move_runs(
    connection: Connection, moves: Sequence[Move], *, observed: Sequence[str]
) -> None:
    """Move locked runs, with an event per side that moved, and wake who waits for `observed`.

    The unfinished party runs of a run whose desired side moved are wanted there too.

    Raises:
        StatementRefused: the lifecycle tables don't know one of the moves.
    """
    rows = await _MOVE.rows(
        connection,
        run_ids=[move.run.run_id for move in moves],
        from_status=[move.run.facts.status.value for move in moves],
        from_desired=[move.run.facts.desired.value for move in moves],
        status=[move.facts.status.value for move in moves],
        desired=[move.facts.desired.value for move in moves],
        causes=[move.facts.cause.value for move in moves],
        messages=[move.message for move in moves],
        is_final=[is_final_status(move.facts.status) for move in moves],
        retry_after_s=[move.retry_after_s for move in moves],
        stored=[stored for stored, _ in _FOLDS],
        folded=[folded for _, folded in _FOLDS],
        held=[held for held, _ in _DESIRES],
        aimed=[aimed for _, aimed in _DESIRES],
        desired_channel=DESIRED_CHANNEL,
        observed_channel=OBSERVED_CHANNEL,
        task_ids=list(dict.fromkeys(observed)),
    )
    moved = {row["run_id"] for row in rows}
    for move in moves:
        if move.run.run_id not in moved:
            raise StatementRefused(
                f"run {move.run.run_id} can't go from {move.run.facts} to {move.facts}"
            )
