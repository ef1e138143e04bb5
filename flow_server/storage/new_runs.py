"""Storing new runs as one set: runs, party runs, first events, tasks' newest run, wake-ups."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from flow_contract.coordination import RunRole
from flow_contract.lifecycle import is_final, is_final_status
from flow_server.domain.coordination import Coordination, coordination_of
from flow_server.domain.rosters import Roster
from flow_server.domain.start import StartPlan
from flow_server.storage.changes import DESIRED_CHANNEL, OBSERVED_CHANNEL
from flow_server.storage.database import Connection
from flow_server.storage.documents import from_snapshot
from flow_server.storage.runs import Repeat
from flow_server.storage.statements import Statement


@dataclass(frozen=True, kw_only=True)
class NewRun:
    """A run to be stored as its task's newest; `number` counts a task's runs from 1.

    `party_run_ids` are of the plan's party runs, in its order.
    """

    run_id: str
    task_id: str
    number: int
    plan: StartPlan
    party_run_ids: tuple[str, ...]
    requested_by: str
    request_id: str = ""
    repeats: Repeat | None = None
    traceparent: str = ""

    @property
    def coordination(self) -> Coordination:
        """How its members depend on one another."""
        return coordination_of(self.plan.snapshot.template)

    @property
    def roster(self) -> Roster:
        """Its members."""
        shares = self.plan.party_runs
        if self.coordination is Coordination.NONE:
            return Roster(parties=tuple(share.federated_id for share in shares))
        return Roster(
            parties=tuple(share.federated_id for share in shares if share.role is RunRole.PARTY),
            coordinator=next(
                (share.federated_id for share in shares if share.role is RunRole.COORDINATOR),
                None,
            ),
            party_run_ids=self.party_run_ids,
        )


_INSERT = Statement(
    """
    WITH new_runs AS (
      SELECT * FROM unnest(
        CAST(:run_ids AS text[]), CAST(:task_ids AS text[]), CAST(:numbers AS int[]),
        CAST(:request_ids AS text[]), CAST(:requested_by AS text[]),
        CAST(:snapshots AS text[]), CAST(:run_status AS text[]),
        CAST(:run_desired AS text[]), CAST(:run_causes AS text[]), CAST(:run_messages AS text[]),
        CAST(:connect_deadlines_s AS double precision[]),
        CAST(:prepare_deadlines_s AS double precision[]),
        CAST(:run_is_final AS boolean[]), CAST(:retry_of AS text[]),
        CAST(:retry_numbers AS int[]), CAST(:traceparents AS text[]),
        CAST(:coordinations AS text[]))
      WITH ORDINALITY
      AS new_runs(run_id, task_id, number, request_id, requested_by, snapshot, status, desired,
                  cause, message, connect_deadline_s, prepare_deadline_s, is_final, retry_of,
                  retry_number, traceparent, coordination, place)
    ), new_party_runs AS (
      SELECT * FROM unnest(
        CAST(:party_run_ids AS text[]), CAST(:places AS int[]), CAST(:ranks AS int[]),
        CAST(:federated_ids AS text[]), CAST(:federated_data AS text[]),
        CAST(:states AS text[]), CAST(:reasons AS text[]), CAST(:messages AS text[]),
        CAST(:is_final AS boolean[]), CAST(:roles AS text[]))
      AS new_party_runs(party_run_id, place, rank, federated_id, federated_data, state, reason,
                        message, is_final, role)
    ), made_runs AS (
      INSERT INTO runs (run_id, task_id, number, request_id, requested_by, snapshot, status,
                        desired, cause, message, connect_deadline_at, prepare_deadline_at,
                        ended_at, retry_of, retry_number, traceparent, coordination)
      SELECT run_id, task_id, number, request_id, requested_by, CAST(snapshot AS jsonb), status,
             desired, cause, message, now() + make_interval(secs => connect_deadline_s),
             now() + make_interval(secs => prepare_deadline_s),
             CASE WHEN is_final THEN now() END, retry_of, retry_number, traceparent,
             coordination
      FROM new_runs ORDER BY place
    ), made_party_runs AS (
      INSERT INTO party_runs (party_run_id, run_id, federated_id, rank, federated_data, desired,
                              cause, state, reason, message, finished_at, role)
      SELECT new.party_run_id, runs.run_id, new.federated_id, new.rank, new.federated_data,
             runs.desired, runs.cause, new.state, new.reason, new.message,
             CASE WHEN new.is_final THEN now() END, new.role
      FROM new_party_runs AS new JOIN new_runs AS runs USING (place)
    ), logged AS (
      INSERT INTO events (run_id, party_run_id, side, to_value, reason)
      SELECT run_id, NULL, 'status', status, cause FROM new_runs
      UNION ALL
      SELECT runs.run_id, new.party_run_id, 'state', new.state, new.reason
      FROM new_party_runs AS new JOIN new_runs AS runs USING (place)
    ), newest AS (
      UPDATE tasks SET latest_run_id = new_runs.run_id, run_count = new_runs.number,
                       modify_time = now()
      FROM new_runs WHERE tasks.task_id = new_runs.task_id
    )
    SELECT pg_notify(channel, payload)
    FROM new_runs, LATERAL (VALUES (:desired_channel, run_id), (:observed_channel, task_id))
         AS told(channel, payload)
    """
)


async def insert_runs(connection: Connection, new: Sequence[NewRun]) -> None:
    """Store new runs of different tasks; the caller holds the tasks."""
    shares = [
        (place, rank, share)
        for place, run in enumerate(new, 1)
        for rank, share in enumerate(run.plan.party_runs)
    ]
    templates = [run.plan.snapshot.template for run in new]
    await _INSERT.rows(
        connection,
        run_ids=[run.run_id for run in new],
        task_ids=[run.task_id for run in new],
        numbers=[run.number for run in new],
        request_ids=[run.request_id or None for run in new],
        requested_by=[run.requested_by for run in new],
        snapshots=[_document(run.plan) for run in new],
        run_status=[run.plan.status.value for run in new],
        run_desired=[run.plan.desired.value for run in new],
        run_causes=[run.plan.cause.value for run in new],
        run_messages=[run.plan.message for run in new],
        connect_deadlines_s=[template.start_deadline_s for template in templates],
        prepare_deadlines_s=[template.prepare_deadline_s for template in templates],
        run_is_final=[is_final_status(run.plan.status) for run in new],
        retry_of=[run.repeats.retry_of if run.repeats else None for run in new],
        retry_numbers=[run.repeats.retry_number if run.repeats else 0 for run in new],
        traceparents=[run.traceparent or None for run in new],
        coordinations=[run.coordination.value for run in new],
        party_run_ids=[party_run_id for run in new for party_run_id in run.party_run_ids],
        places=[place for place, _, _ in shares],
        ranks=[rank for _, rank, _ in shares],
        federated_ids=[share.federated_id for _, _, share in shares],
        federated_data=[share.federated_data for _, _, share in shares],
        states=[share.state.value for _, _, share in shares],
        reasons=[share.reason.value for _, _, share in shares],
        messages=[share.message for _, _, share in shares],
        is_final=[is_final(share.state) for _, _, share in shares],
        roles=[share.role.value for _, _, share in shares],
        desired_channel=DESIRED_CHANNEL,
        observed_channel=OBSERVED_CHANNEL,
    )


def _document(plan: StartPlan) -> str:
    return json.dumps(from_snapshot(plan.snapshot), ensure_ascii=False, allow_nan=False)
