"""Queries on party runs, each for a whole set at once."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, any_, bindparam, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

from flow_contract.assignments import Assignment
from flow_contract.errors import InvalidArgument
from flow_contract.ids import new_id
from flow_contract.lifecycle import Desired, PartyRunState, is_final
from flow_contract.reasons import Reason, known
from flow_contract.runs import PartyRun
from flow_server.domain.assign import assignment
from flow_server.domain.fold import Tally
from flow_server.domain.start import NewPartyRun
from flow_server.storage.database import Connection
from flow_server.storage.documents import to_snapshot
from flow_server.storage.tables import party_runs, runs

# In one answer. A task has 10,000 parties at most.
MAX_PARTY_RUNS = 50_000

_INSERT = text(
    """
    WITH made AS (
      INSERT INTO party_runs (party_run_id, run_id, federated_id, rank, federated_data,
                              desired, cause, state, reason, message, finished_at)
      SELECT new.party_run_id, :run_id, new.federated_id, new.rank - 1, new.federated_data,
             :desired, :cause, new.state, new.reason, new.message,
             CASE WHEN new.is_final THEN now() END
      FROM unnest(CAST(:party_run_ids AS text[]), CAST(:federated_ids AS text[]),
                  CAST(:federated_data AS text[]), CAST(:states AS text[]),
                  CAST(:reasons AS text[]), CAST(:messages AS text[]),
                  CAST(:is_final AS boolean[]))
           WITH ORDINALITY
           AS new(party_run_id, federated_id, federated_data, state, reason, message,
                  is_final, rank)
      RETURNING party_run_id, state, reason
    )
    INSERT INTO events (run_id, party_run_id, side, to_value, reason)
    SELECT :run_id, party_run_id, 'state', state, reason FROM made
    """
)

# Only what has not ended is wanted elsewhere; the move and its event are one statement.
_MOVE_DESIRED = text(
    """
    WITH moved AS (
      UPDATE party_runs AS new SET desired = :desired, cause = :cause
      FROM party_runs AS old
      WHERE old.party_run_id = new.party_run_id AND new.run_id = :run_id
        AND new.finished_at IS NULL AND new.desired = ANY(CAST(:sources AS text[]))
      RETURNING new.party_run_id, old.desired AS from_value
    )
    INSERT INTO events (run_id, party_run_id, side, from_value, to_value, reason)
    SELECT :run_id, party_run_id, 'desired', from_value, :desired, :cause FROM moved
    """
)

_TALLY = text(
    """
    SELECT run_id, state, count(*) AS number, bool_or(reason <> 'none') AS waiting
    FROM party_runs WHERE run_id = ANY(:run_ids) GROUP BY run_id, state
    """
).bindparams(bindparam("run_ids", type_=ARRAY(Text)))

# The one party that says best why a run did not succeed: one that failed by itself before one
# that was stopped because of it.
_CULPRIT = text(
    """
    SELECT federated_id, state, message FROM party_runs
    WHERE run_id = :run_id AND state IN ('failed', 'refused', 'stopped')
    ORDER BY (state = 'stopped'), rank LIMIT 1
    """
)


async def insert_party_runs(
    connection: Connection,
    run_id: str,
    new: Sequence[NewPartyRun],
    *,
    desired: Desired,
    cause: Reason,
) -> None:
    """Store a run's party runs; the rank is the place in `new`."""
    await connection.execute(
        _INSERT,
        {
            "run_id": run_id,
            "desired": desired,
            "cause": cause,
            "party_run_ids": [new_id() for _ in new],
            "federated_ids": [item.federated_id for item in new],
            "federated_data": [item.federated_data for item in new],
            "states": [item.state.value for item in new],
            "reasons": [item.reason.value for item in new],
            "messages": [item.message for item in new],
            "is_final": [is_final(item.state) for item in new],
        },
    )


async def move_desired(
    connection: Connection,
    run_id: str,
    *,
    sources: Sequence[Desired],
    desired: Desired,
    cause: Reason,
) -> None:
    """Want all of a run's unfinished party runs elsewhere; others are left alone."""
    await connection.execute(
        _MOVE_DESIRED,
        {
            "run_id": run_id,
            "sources": [source.value for source in sources],
            "desired": desired.value,
            "cause": cause.value,
        },
    )


async def tallies(connection: Connection, run_ids: list[str]) -> dict[str, Tally]:
    """Return, per run, how many party runs are in each state."""
    states: dict[str, dict[PartyRunState, int]] = defaultdict(dict)
    waiting: dict[str, bool] = defaultdict(bool)
    for row in await connection.execute(_TALLY, {"run_ids": run_ids}):
        states[row.run_id][PartyRunState(row.state)] = row.number
        waiting[row.run_id] |= row.waiting
    return {run_id: Tally(states=states[run_id], waiting=waiting[run_id]) for run_id in run_ids}


async def culprit(connection: Connection, run_id: str) -> str:
    """Return one sentence on why the run did not succeed, "" where no party says."""
    row = (await connection.execute(_CULPRIT, {"run_id": run_id})).one_or_none()
    return "" if row is None else f"{row.federated_id} {row.state}: {row.message}"


async def party_runs_of(
    connection: Connection, run_ids: list[str]
) -> dict[str, tuple[PartyRun, ...]]:
    """Return the party runs of each run, by rank.

    Raises:
        InvalidArgument: they are more than the server can hold for one answer.
    """
    if not run_ids:
        return {}
    statement = (
        select(party_runs)
        .where(party_runs.c.run_id == _any_of(run_ids))
        .order_by(party_runs.c.run_id, party_runs.c.rank)
        .limit(MAX_PARTY_RUNS + 1)
    )
    found: dict[str, list[PartyRun]] = defaultdict(list)
    rows = (await connection.execute(statement)).all()
    if len(rows) > MAX_PARTY_RUNS:
        raise InvalidArgument(
            f"limit: these {len(run_ids)} runs have more than {MAX_PARTY_RUNS} parties between "
            "them; ask for fewer at once",
            field="limit",
        )
    for row in rows:
        found[row.run_id].append(_party_run(row))
    return {run_id: tuple(items) for run_id, items in found.items()}


async def assignments_of_parties(
    connection: Connection, federated_ids: list[str]
) -> list[Assignment]:
    """Return all that is wanted of these parties now, oldest start first."""
    statement = _assignments().where(
        party_runs.c.federated_id == _any_of(federated_ids), party_runs.c.finished_at.is_(None)
    )
    return await _assignments_from(connection, statement)


async def assignments_of_runs(
    connection: Connection, run_ids: list[str], federated_ids: list[str]
) -> list[Assignment]:
    """Return what these runs want of those of their parties that are in `federated_ids`."""
    statement = _assignments().where(
        party_runs.c.run_id == _any_of(run_ids),
        party_runs.c.federated_id == _any_of(federated_ids),
        party_runs.c.finished_at.is_(None),
    )
    return await _assignments_from(connection, statement)


def _assignments() -> Select[Any]:
    return (
        select(
            party_runs.c.party_run_id,
            party_runs.c.run_id,
            party_runs.c.federated_id,
            party_runs.c.federated_data,
            party_runs.c.rank,
            party_runs.c.desired,
            party_runs.c.cause,
            runs.c.task_id,
            runs.c.start_order,
        )
        .join(runs, runs.c.run_id == party_runs.c.run_id)
        .order_by(runs.c.start_order)
    )


async def _assignments_from(connection: Connection, statement: Select[Any]) -> list[Assignment]:
    rows = (await connection.execute(statement)).all()
    run_ids = list({row.run_id for row in rows})
    if not rows:
        return []
    # A snapshot and a list of parties are read once per run, not once per party.
    snapshots = {
        row.run_id: to_snapshot(row.snapshot)
        for row in await connection.execute(
            select(runs.c.run_id, runs.c.snapshot).where(runs.c.run_id.in_(run_ids))
        )
    }
    parties: dict[str, list[str]] = defaultdict(list)
    for row in await connection.execute(
        select(party_runs.c.run_id, party_runs.c.federated_id)
        .where(party_runs.c.run_id.in_(run_ids))
        .order_by(party_runs.c.run_id, party_runs.c.rank)
    ):
        parties[row.run_id].append(row.federated_id)
    shared = {run_id: tuple(ids) for run_id, ids in parties.items()}
    return [
        assignment(
            party_run_id=row.party_run_id,
            run_id=row.run_id,
            task_id=row.task_id,
            order=row.start_order,
            federated_id=row.federated_id,
            federated_data=row.federated_data,
            rank=row.rank,
            parties=shared[row.run_id],
            snapshot=snapshots[row.run_id],
            desired=Desired(row.desired),
            cause=known(row.cause),
        )
        for row in rows
    ]


def _any_of(values: list[str]) -> Any:
    # One parameter however many values: a list of 10,000 of them took the statement's compiler
    # longer than the database, at every delivery.
    return any_(literal(values, ARRAY(Text)))


def _party_run(row: Row[Any]) -> PartyRun:
    return PartyRun(
        party_run_id=row.party_run_id,
        run_id=row.run_id,
        federated_id=row.federated_id,
        rank=row.rank,
        federated_data=row.federated_data,
        desired=Desired(row.desired),
        state=PartyRunState(row.state),
        reason=known(row.reason),
        message=row.message,
        exit_code=row.exit_code,
        gpu_ids=tuple(row.gpu_ids),
        image_digest=row.image_digest,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )
