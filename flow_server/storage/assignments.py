"""Reading what agents are told: the part that moves each time, the part that never does once."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from flow_contract.assignments import Assignment
from flow_contract.coordination import RunRole
from flow_contract.lifecycle import Desired
from flow_contract.reasons import known
from flow_contract.runs import Snapshot
from flow_server.domain.assign import assignment
from flow_server.domain.rosters import Roster
from flow_server.storage.database import Connection
from flow_server.storage.documents import to_snapshot
from flow_server.storage.statements import Statement

# Runs whose fixed part is kept; that of a run of a thousand parties takes some 50 KB.
_KNOWN_RUNS = 512

_MOVING_PART = """
    party_runs.party_run_id, party_runs.run_id, party_runs.federated_data, party_runs.rank,
    party_runs.role,
    party_runs.desired, party_runs.cause, runs.task_id, runs.start_order,
    runs.requested_by, runs.traceparent
"""

# The epoch is read with what it is to guard: one statement sees one moment.
_OF_PARTIES = Statement(
    f"""
    SELECT parties.federated_id, parties.epoch, {_MOVING_PART}
    FROM parties
    LEFT JOIN (party_runs JOIN runs USING (run_id))
      ON party_runs.federated_id = parties.federated_id AND party_runs.finished_at IS NULL
    WHERE parties.federated_id = ANY(CAST(:federated_ids AS text[]))
    ORDER BY runs.start_order
    """  # noqa: S608 - a literal of this file
)
_OF_RUNS = Statement(
    f"""
    SELECT parties.federated_id, parties.epoch, {_MOVING_PART}
    FROM party_runs JOIN runs USING (run_id)
    JOIN parties ON parties.federated_id = party_runs.federated_id
    WHERE party_runs.run_id = ANY(CAST(:run_ids AS text[]))
      AND party_runs.federated_id = ANY(CAST(:federated_ids AS text[]))
      AND party_runs.finished_at IS NULL
    ORDER BY runs.start_order
    """  # noqa: S608 - the same
)
_FIXED_PARTS = Statement(
    """
    SELECT run_id, snapshot, ARRAY(
      SELECT federated_id FROM party_runs
      WHERE party_runs.run_id = runs.run_id AND role = 'party' ORDER BY rank
    ) AS parties,
    CASE WHEN coordination <> 'none' THEN ARRAY(
      SELECT party_run_id FROM party_runs WHERE party_runs.run_id = runs.run_id ORDER BY rank
    ) ELSE '{}' END AS party_run_ids,
    CASE WHEN coordination <> 'none' THEN (
      SELECT federated_id FROM party_runs
      WHERE party_runs.run_id = runs.run_id AND role = 'coordinator'
    ) END AS coordinator
    FROM runs WHERE run_id = ANY(CAST(:run_ids AS text[]))
    """
)


@dataclass(frozen=True, kw_only=True)
class Told:
    """Assignments, oldest start first, and the epochs of the parties that they are for."""

    assignments: Sequence[Assignment] = ()
    epochs: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class _FixedPart:
    snapshot: Snapshot
    roster: Roster


class AssignmentReader:
    """Reads assignments, and keeps in mind what of recent runs never changes."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, _FixedPart] = OrderedDict()

    def remember(self, run_id: str, snapshot: Snapshot, roster: Roster) -> None:
        """Keep the fixed part of a run that is being stored, so that nobody has to read it."""
        self._known[run_id] = _FixedPart(snapshot=snapshot, roster=roster)
        while len(self._known) > _KNOWN_RUNS:
            self._known.popitem(last=False)

    async def of_parties(self, connection: Connection, federated_ids: list[str]) -> Told:
        """Return all that is wanted of these parties now."""
        return await self._told(
            connection, await _OF_PARTIES.rows(connection, federated_ids=federated_ids)
        )

    async def of_runs(
        self, connection: Connection, run_ids: list[str], federated_ids: list[str]
    ) -> Told:
        """Return what these runs want of those of their parties that are in `federated_ids`."""
        return await self._told(
            connection,
            await _OF_RUNS.rows(connection, run_ids=run_ids, federated_ids=federated_ids),
        )

    async def _told(self, connection: Connection, rows: Sequence[asyncpg.Record]) -> Told:
        wanted = [row for row in rows if row["party_run_id"] is not None]
        fixed = await self._fixed_parts(connection, {row["run_id"] for row in wanted})
        return Told(
            epochs={row["federated_id"]: row["epoch"] for row in rows},
            assignments=[
                assignment(
                    party_run_id=row["party_run_id"],
                    run_id=row["run_id"],
                    task_id=row["task_id"],
                    order=row["start_order"],
                    federated_id=row["federated_id"],
                    federated_data=row["federated_data"],
                    rank=row["rank"],
                    role=RunRole(row["role"]),
                    roster=fixed[row["run_id"]].roster,
                    snapshot=fixed[row["run_id"]].snapshot,
                    desired=Desired(row["desired"]),
                    cause=known(row["cause"]),
                    requested_by=row["requested_by"],
                    traceparent=row["traceparent"] or "",
                )
                for row in wanted
                # One that was deleted meanwhile is wanted nowhere.
                if row["run_id"] in fixed
            ],
        )

    async def _fixed_parts(
        self, connection: Connection, run_ids: set[str]
    ) -> dict[str, _FixedPart]:
        found = {run_id: self._known[run_id] for run_id in run_ids if run_id in self._known}
        missing = list(run_ids - found.keys())
        if missing:
            for row in await _FIXED_PARTS.rows(connection, run_ids=missing):
                roster = Roster(
                    parties=tuple(row["parties"]),
                    coordinator=row["coordinator"],
                    party_run_ids=tuple(row["party_run_ids"]),
                )
                self.remember(row["run_id"], to_snapshot(row["snapshot"]), roster)
                found[row["run_id"]] = self._known[row["run_id"]]
        return found
