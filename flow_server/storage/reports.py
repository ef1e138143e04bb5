"""Agents' reports applied as one set: compare-and-set by the lifecycle table, with events.

A report counts if its sender is the party's present connection (epoch), the party run is its
own, the sequence is new and the state can be reached. Whatever does not count changes nothing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import text

from flow_contract.assignments import Report
from flow_contract.coordination import PeerProgress, Traffic
from flow_contract.lifecycle import report_moves
from flow_server.domain.fold import Tally
from flow_server.storage.database import Connection
from flow_server.storage.party_runs import tallies_from
from flow_server.storage.statements import Statement


@dataclass(frozen=True, kw_only=True)
class SentReport:
    """A report and the connection it came over."""

    federated_id: str
    epoch: int
    report: Report


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What applying reports came to.

    `changed` are the runs of which a report counted, `tallies` are by run, and `stale` are the
    senders, as (federated_id, epoch), that are not their party's present connection.
    """

    changed: frozenset[str]
    tallies: Mapping[str, Tally]
    stale: frozenset[tuple[str, int]]


_APPLY = Statement(
    """
    WITH sent AS (
      SELECT * FROM unnest(
        CAST(:federated_ids AS text[]), CAST(:epochs AS bigint[]),
        CAST(:party_run_ids AS text[]), CAST(:sequences AS bigint[]), CAST(:states AS text[]),
        CAST(:reasons AS text[]), CAST(:messages AS text[]), CAST(:exit_codes AS int[]),
        CAST(:gpu_ids AS text[]), CAST(:digests AS text[]),
        CAST(:started AS timestamptz[]), CAST(:finished AS timestamptz[]),
        CAST(:current_epochs AS int[]), CAST(:total_epochs AS int[]), CAST(:notes AS text[]),
        CAST(:traffics AS text[]), CAST(:peer_progresses AS text[]))
      AS sent(federated_id, epoch, party_run_id, sequence, state, reason, message, exit_code,
              gpu_ids, digest, started_at, finished_at, current_epoch, total_epoch, note,
              traffic, peer_progress)
    ), moves AS (
      SELECT * FROM unnest(CAST(:stored AS text[]), CAST(:reported AS text[]))
      AS moves(stored, reported)
    ), counted AS (
      SELECT sent.*, old.state AS old_state, old.report_sequence AS old_sequence
      FROM sent
      JOIN party_runs AS old USING (party_run_id)
      JOIN parties ON parties.federated_id = sent.federated_id AND parties.epoch = sent.epoch
      WHERE old.federated_id = sent.federated_id
        AND sent.sequence > old.report_sequence
        AND old.finished_at IS NULL
        AND (sent.state = old.state
             OR (old.state, sent.state) IN (SELECT stored, reported FROM moves))
    ), moved AS (
      UPDATE party_runs AS new
      SET state = counted.state, reason = counted.reason, message = counted.message,
          exit_code = counted.exit_code, gpu_ids = CAST(counted.gpu_ids AS jsonb),
          image_digest = counted.digest, report_sequence = counted.sequence,
          started_at = coalesce(counted.started_at, new.started_at),
          finished_at = counted.finished_at,
          -- An agent that was replaced may not know what the workload told its predecessor.
          current_epoch = coalesce(counted.current_epoch, new.current_epoch),
          total_epoch = coalesce(counted.total_epoch, new.total_epoch),
          note = coalesce(nullif(counted.note, ''), new.note),
          traffic = coalesce(CAST(counted.traffic AS jsonb), new.traffic),
          peer_progress = CASE
            WHEN new.role = 'coordinator' AND counted.peer_progress IS NOT NULL
            THEN CAST(counted.peer_progress AS jsonb) ELSE new.peer_progress END
      FROM counted
      WHERE new.party_run_id = counted.party_run_id
        AND new.state = counted.old_state AND new.report_sequence = counted.old_sequence
      RETURNING new.party_run_id, new.run_id, counted.old_state, new.state, new.reason
    ), logged AS (
      INSERT INTO events (run_id, party_run_id, side, from_value, to_value, reason)
      SELECT run_id, party_run_id, 'state', old_state, state, reason FROM moved
      WHERE old_state <> state
    )
    -- What a statement writes it does not read: what is stored now is put together here.
    SELECT 'tally' AS kind, party_runs.run_id AS id,
           coalesce(moved.state, party_runs.state) AS state, count(*) AS number,
           bool_or(coalesce(moved.reason, party_runs.reason) <> 'none') AS is_waiting,
           bool_or(moved.party_run_id IS NOT NULL) AS is_changed,
           bool_or(party_runs.role = 'coordinator') AS has_coordinator
    FROM party_runs LEFT JOIN moved USING (party_run_id)
    WHERE party_runs.run_id = ANY(CAST(:run_ids AS text[]))
    GROUP BY 2, 3
    UNION ALL
    SELECT DISTINCT 'stale', sent.federated_id, '', sent.epoch, false, false, false
    FROM sent LEFT JOIN parties
      ON parties.federated_id = sent.federated_id AND parties.epoch = sent.epoch
    WHERE parties.federated_id IS NULL
    """
)

_RUNS_OF_ANOTHER = text(
    """
    SELECT DISTINCT run_id FROM party_runs JOIN parties USING (federated_id)
    WHERE federated_id = :federated_id AND finished_at IS NULL AND instance_id <> :instance_id
    """
)

_COUNT_ANEW = text(
    """
    UPDATE party_runs SET report_sequence = 0
    WHERE federated_id = :federated_id AND run_id = ANY(CAST(:run_ids AS text[]))
      AND finished_at IS NULL
    """
)

_MOVES = report_moves()
_STORED = [stored.value for stored, _ in _MOVES]
_REPORTED = [reported.value for _, reported in _MOVES]


async def apply_reports(
    connection: Connection, sent: Sequence[SentReport], run_ids: Sequence[str]
) -> Applied:
    """Apply reports of different party runs; return what that amounts to.

    The caller holds the runs `run_ids`, and passes at most one report per party run.
    """
    reports = [item.report for item in sent]
    rows = await _APPLY.rows(
        connection,
        run_ids=run_ids,
        federated_ids=[item.federated_id for item in sent],
        epochs=[item.epoch for item in sent],
        party_run_ids=[report.party_run_id for report in reports],
        sequences=[report.sequence for report in reports],
        states=[report.state.value for report in reports],
        reasons=[report.reason.value for report in reports],
        messages=[report.message for report in reports],
        exit_codes=[report.exit_code for report in reports],
        gpu_ids=[json.dumps(report.gpu_ids) for report in reports],
        digests=[report.image_digest for report in reports],
        started=[report.started_at for report in reports],
        finished=[report.finished_at for report in reports],
        current_epochs=[report.current_epoch for report in reports],
        total_epochs=[report.total_epoch for report in reports],
        notes=[report.note for report in reports],
        traffics=[_documents(report.traffic) for report in reports],
        peer_progresses=[_documents(report.peer_progress) for report in reports],
        stored=_STORED,
        reported=_REPORTED,
    )
    tallied = [row for row in rows if row["kind"] == "tally"]
    return Applied(
        changed=frozenset(row["id"] for row in tallied if row["is_changed"]),
        tallies=tallies_from(tallied),
        stale=frozenset((row["id"], row["number"]) for row in rows if row["kind"] == "stale"),
    )


def _documents(entries: Sequence[Traffic] | Sequence[PeerProgress]) -> str | None:
    """Return what is stored of them; None leaves what is there."""
    return json.dumps([vars(entry) for entry in entries]) if entries else None


async def runs_of_another_agent(
    connection: Connection, *, federated_id: str, instance_id: str
) -> list[str]:
    """Return the party's open runs if its last agent was not this one, else none."""
    values = {"federated_id": federated_id, "instance_id": instance_id}
    return list((await connection.execute(_RUNS_OF_ANOTHER, values)).scalars())


async def count_anew(connection: Connection, federated_id: str, run_ids: list[str]) -> None:
    """Expect the party's reports on these runs to be numbered from 1; the caller holds the runs."""
    await connection.execute(_COUNT_ANEW, {"federated_id": federated_id, "run_ids": run_ids})
