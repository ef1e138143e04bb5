"""Queries on party runs, each for a whole set at once."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import asyncpg
from sqlalchemy import text

from flow_contract.coordination import RunRole
from flow_contract.errors import InvalidArgument
from flow_contract.lifecycle import Desired, PartyRunState
from flow_contract.reasons import known
from flow_contract.runs import PartyRun
from flow_server.domain.coordination import Coordination
from flow_server.domain.fold import Tally
from flow_server.domain.retries import NOT_OF_ITSELF
from flow_server.storage.database import Connection
from flow_server.storage.documents import to_peer_progress, to_traffic
from flow_server.storage.statements import Statement

# In one answer. A task has 10,000 parties at most.
MAX_PARTY_RUNS = 50_000

_TALLY = Statement(
    """
    SELECT run_id AS id, state, count(*) AS number, bool_or(reason <> 'none') AS is_waiting,
           bool_or(role = 'coordinator') AS has_coordinator
    FROM party_runs WHERE run_id = ANY(CAST(:run_ids AS text[])) GROUP BY run_id, state
    """
)

# Only what is shown; most have no GPU and no peer, and reading an empty document costs as much as
# a full one.
_OF_RUNS = Statement(
    """
    SELECT party_run_id, run_id, federated_id, rank, federated_data, desired, state, reason,
           message, exit_code, CASE WHEN gpu_ids <> '[]' THEN gpu_ids END AS gpu_ids, image_digest,
           started_at, finished_at, current_epoch, total_epoch, note, role,
           CASE WHEN traffic <> '[]' THEN traffic END AS traffic,
           CASE WHEN peer_progress <> '[]' THEN peer_progress END AS peer_progress
    FROM party_runs WHERE run_id = ANY(CAST(:run_ids AS text[]))
    ORDER BY run_id, rank LIMIT CAST(:most AS bigint)
    """
)

# The one member that says best why a run did not succeed: one that failed by itself before one
# that was stopped because of it.
_CULPRIT = text(
    """
    SELECT federated_id, role, state, message FROM party_runs
    WHERE run_id = :run_id AND state IN ('failed', 'refused', 'stopped')
    ORDER BY (state = 'stopped'), rank LIMIT 1
    """
)
# Where one's failure brings down others: the first of which one was heard that ended by itself,
# but the coordinator where that alone decides.
_FIRST_CULPRIT = text(
    """
    SELECT federated_id, role, state, message
    FROM party_runs JOIN (
      SELECT party_run_id, max(event_id) AS ended FROM events
      WHERE run_id = :run_id AND side = 'state' GROUP BY party_run_id
    ) AS told USING (party_run_id)
    WHERE run_id = :run_id AND state IN ('failed', 'refused', 'stopped')
    ORDER BY reason = ANY(CAST(:because_of_others AS text[])),
             (:coordinator_decides AND role = 'party'), ended LIMIT 1
    """
)


async def tallies(connection: Connection, run_ids: list[str]) -> dict[str, Tally]:
    """Return, per run, how many party runs are in each state."""
    return tallies_from(await _TALLY.rows(connection, run_ids=run_ids))


def tallies_from(rows: Iterable[Mapping[str, Any]]) -> dict[str, Tally]:
    """Return the tallies per run.

    Rows have `id`, `state`, `number`, `is_waiting`, and `has_coordinator`: it is among these.
    """
    states: dict[str, dict[PartyRunState, int]] = defaultdict(dict)
    waiting: dict[str, bool] = defaultdict(bool)
    coordinators: dict[str, PartyRunState] = {}
    for row in rows:
        states[row["id"]][PartyRunState(row["state"])] = row["number"]
        waiting[row["id"]] |= row["is_waiting"]
        if row["has_coordinator"]:
            coordinators[row["id"]] = PartyRunState(row["state"])
    return {
        run_id: Tally(states=counts, waiting=waiting[run_id], coordinator=coordinators.get(run_id))
        for run_id, counts in states.items()
    }


async def culprit(connection: Connection, run_id: str, coordination: Coordination) -> str:
    """Return one sentence on why the run did not succeed, "" where no member says."""
    values: dict[str, Any] = {"run_id": run_id}
    statement = _CULPRIT
    if coordination is not Coordination.NONE:
        statement = _FIRST_CULPRIT
        values["coordinator_decides"] = coordination is Coordination.DECIDES
        values["because_of_others"] = sorted(NOT_OF_ITSELF)
    row = (await connection.execute(statement, values)).one_or_none()
    if row is None:
        return ""
    is_coordinator = row.role == RunRole.COORDINATOR
    name = f"coordinator at {row.federated_id}" if is_coordinator else row.federated_id
    return f"{name} {row.state}: {row.message}"


async def party_runs_of(
    connection: Connection, run_ids: list[str]
) -> dict[str, tuple[PartyRun, ...]]:
    """Return the party runs of each run, by rank.

    Raises:
        InvalidArgument: they are more than the server can hold for one answer.
    """
    if not run_ids:
        return {}
    rows = await _OF_RUNS.rows(connection, run_ids=run_ids, most=MAX_PARTY_RUNS + 1)
    found: dict[str, list[PartyRun]] = defaultdict(list)
    if len(rows) > MAX_PARTY_RUNS:
        raise InvalidArgument(
            f"limit: these {len(run_ids)} runs have more than {MAX_PARTY_RUNS} parties between "
            "them; ask for fewer at once",
            field="limit",
        )
    for row in rows:
        found[row["run_id"]].append(_party_run(row))
    return {run_id: tuple(items) for run_id, items in found.items()}


def _party_run(row: asyncpg.Record) -> PartyRun:
    return PartyRun(
        party_run_id=row["party_run_id"],
        run_id=row["run_id"],
        federated_id=row["federated_id"],
        rank=row["rank"],
        federated_data=row["federated_data"],
        desired=Desired(row["desired"]),
        state=PartyRunState(row["state"]),
        reason=known(row["reason"]),
        message=row["message"],
        exit_code=row["exit_code"],
        gpu_ids=tuple(row["gpu_ids"] or ()),
        image_digest=row["image_digest"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        current_epoch=row["current_epoch"],
        total_epoch=row["total_epoch"],
        note=row["note"],
        role=RunRole(row["role"]),
        traffic=to_traffic(row["traffic"] or ()),
        peer_progress=to_peer_progress(row["peer_progress"] or ()),
    )
