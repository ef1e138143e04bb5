"""Agents' reports applied as one set: compare-and-set by the lifecycle table, with events.

A report counts if its sender is the party's present connection (epoch), the party run is its
own, the sequence is new and the state can be reached. Whatever does not count changes nothing.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text

from flow_contract.assignments import Report
from flow_contract.lifecycle import report_moves
from flow_server.storage.database import Connection


@dataclass(frozen=True, kw_only=True)
class SentReport:
    """A report and the connection it came over."""

    federated_id: str
    epoch: int
    report: Report


_APPLY = text(
    """
    WITH sent AS (
      SELECT * FROM unnest(
        CAST(:federated_ids AS text[]), CAST(:epochs AS bigint[]),
        CAST(:party_run_ids AS text[]), CAST(:sequences AS bigint[]), CAST(:states AS text[]),
        CAST(:reasons AS text[]), CAST(:messages AS text[]), CAST(:exit_codes AS int[]),
        CAST(:gpu_ids AS text[]), CAST(:digests AS text[]),
        CAST(:started AS timestamptz[]), CAST(:finished AS timestamptz[]))
      AS sent(federated_id, epoch, party_run_id, sequence, state, reason, message, exit_code,
              gpu_ids, digest, started_at, finished_at)
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
          finished_at = counted.finished_at
      FROM counted
      WHERE new.party_run_id = counted.party_run_id
        AND new.state = counted.old_state AND new.report_sequence = counted.old_sequence
      RETURNING new.party_run_id, new.run_id, counted.old_state, new.state, new.reason
    ), logged AS (
      INSERT INTO events (run_id, party_run_id, side, from_value, to_value, reason)
      SELECT run_id, party_run_id, 'state', old_state, state, reason FROM moved
      WHERE old_state <> state
    )
    SELECT party_run_id FROM moved
    """
)

_STALE = text(
    """
    SELECT sent.federated_id, sent.epoch FROM unnest(CAST(:federated_ids AS text[]),
                                         CAST(:epochs AS bigint[]))
      AS sent(federated_id, epoch)
    LEFT JOIN parties ON parties.federated_id = sent.federated_id AND parties.epoch = sent.epoch
    WHERE parties.federated_id IS NULL
    """
)

_RUNS_OF_ANOTHER = text(
    """
    SELECT run_id FROM party_runs JOIN parties USING (federated_id)
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


async def apply_reports(connection: Connection, sent: Sequence[SentReport]) -> int:
    """Apply reports of different party runs; return how many counted.

    The caller holds the runs locked and passes at most one report per party run.
    """
    reports = [item.report for item in sent]
    result = await connection.execute(
        _APPLY,
        {
            "federated_ids": [item.federated_id for item in sent],
            "epochs": [item.epoch for item in sent],
            "party_run_ids": [report.party_run_id for report in reports],
            "sequences": [report.sequence for report in reports],
            "states": [report.state.value for report in reports],
            "reasons": [report.reason.value for report in reports],
            "messages": [report.message for report in reports],
            "exit_codes": [report.exit_code for report in reports],
            "gpu_ids": [json.dumps(report.gpu_ids) for report in reports],
            "digests": [report.image_digest for report in reports],
            "started": [report.started_at for report in reports],
            "finished": [report.finished_at for report in reports],
            "stored": _STORED,
            "reported": _REPORTED,
        },
    )
    return len(result.all())


async def runs_of_another_agent(
    connection: Connection, *, federated_id: str, instance_id: str
) -> list[str]:
    """Return the party's open runs if its last agent was not this one, else none."""
    values = {"federated_id": federated_id, "instance_id": instance_id}
    return list((await connection.execute(_RUNS_OF_ANOTHER, values)).scalars())


async def count_anew(connection: Connection, federated_id: str, run_ids: list[str]) -> None:
    """Expect the party's reports on these runs to be numbered from 1; the caller holds the runs."""
    await connection.execute(_COUNT_ANEW, {"federated_id": federated_id, "run_ids": run_ids})


async def stale_senders(
    connection: Connection, senders: Sequence[tuple[str, int]]
) -> frozenset[tuple[str, int]]:
    """Return those of the (federated_id, epoch) senders that are not the present connection."""
    result = await connection.execute(
        _STALE,
        {
            "federated_ids": [federated_id for federated_id, _ in senders],
            "epochs": [epoch for _, epoch in senders],
        },
    )
    return frozenset((row.federated_id, row.epoch) for row in result)
