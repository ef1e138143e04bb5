"""Queries on what a failed run's repeat needs: what decides it, what is due, what it repeats."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, text, update

from flow_contract.coordination import RunRole
from flow_contract.lifecycle import PartyRunState
from flow_contract.reasons import known
from flow_contract.runs import Snapshot
from flow_contract.tasks import PartyData
from flow_contract.templates import RetryPolicy
from flow_server.domain.retries import End
from flow_server.storage.database import Connection
from flow_server.storage.documents import to_retry_policy, to_snapshot
from flow_server.storage.runs import Repeat
from flow_server.storage.tables import party_runs, runs

_CALL_OFF = text(
    """
    WITH called_off AS (
      UPDATE runs SET retry_at = NULL, moved_at = now(),
                      message = concat_ws(' ', nullif(message, ''), CAST(:note AS text))
      WHERE run_id = :run_id AND retry_at IS NOT NULL
      RETURNING run_id, task_id
    )
    INSERT INTO feed_events (run_id, task_id, owner, side, from_value, to_value)
    SELECT run_id, task_id, owner, 'retry', 'due', 'called_off'
    FROM called_off JOIN tasks USING (task_id)
    """
)


@dataclass(frozen=True, kw_only=True)
class Due:
    """A failed run that is to be repeated now."""

    task_id: str
    run_id: str


@dataclass(frozen=True, kw_only=True)
class Original:
    """What a repeat is made from, and its place in the chain."""

    snapshot: Snapshot
    parties: Sequence[PartyData]
    repeats: Repeat
    requested_by: str


async def policy_of(connection: Connection, run_id: str) -> tuple[RetryPolicy, int]:
    """Return the run's policy and how many repeats were made before it, itself included."""
    statement = select(
        runs.c.snapshot["template"]["retry"].label("retry"), runs.c.retry_number
    ).where(runs.c.run_id == run_id)
    row = (await connection.execute(statement)).one()
    return to_retry_policy(row.retry), row.retry_number


async def ends_of(connection: Connection, run_id: str) -> list[End]:
    """Return the different ways in which the run's party runs ended."""
    statement = (
        select(party_runs.c.state, party_runs.c.reason, party_runs.c.role)
        .where(party_runs.c.run_id == run_id)
        .distinct()
    )
    return [
        End(state=PartyRunState(row.state), reason=known(row.reason), role=RunRole(row.role))
        for row in await connection.execute(statement)
    ]


async def due(connection: Connection, *, limit: int) -> list[Due]:
    """Return runs whose time to be repeated has come, longest due first; holds none of them."""
    statement = (
        select(runs.c.task_id, runs.c.run_id)
        .where(runs.c.retry_at <= func.now())
        .order_by(runs.c.retry_at)
        .limit(limit)
    )
    return [
        Due(task_id=row.task_id, run_id=row.run_id) for row in await connection.execute(statement)
    ]


async def original_of(connection: Connection, run_id: str) -> Original:
    """Return what a repeat of this run is made from; the caller holds the run."""
    run = (
        await connection.execute(
            select(runs.c.snapshot, runs.c.retry_number, runs.c.requested_by).where(
                runs.c.run_id == run_id
            )
        )
    ).one()
    shares = await connection.execute(
        select(party_runs.c.federated_id, party_runs.c.federated_data)
        # Its coordinator is placed anew, by the same template.
        .where(party_runs.c.run_id == run_id, party_runs.c.role == RunRole.PARTY)
        .order_by(party_runs.c.rank)
    )
    return Original(
        snapshot=to_snapshot(run.snapshot),
        parties=[
            PartyData(federated_id=share.federated_id, federated_data=share.federated_data)
            for share in shares
        ],
        repeats=Repeat(retry_of=run_id, retry_number=run.retry_number + 1),
        requested_by=run.requested_by,
    )


async def mark_repeated(connection: Connection, run_id: str) -> None:
    """Say that the run's repeat is no longer due: it is made."""
    await connection.execute(update(runs).where(runs.c.run_id == run_id).values(retry_at=None))


async def call_off(connection: Connection, run_id: str, note: str) -> None:
    """Say that the run is not repeated after all; `note` says why, for people."""
    await connection.execute(_CALL_OFF, {"run_id": run_id, "note": note})
