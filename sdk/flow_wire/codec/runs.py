"""Runs and party runs on the wire."""

from flow_contract.reasons import Reason, known
from flow_contract.runs import PartyRun, Run, Snapshot
from flow_wire import runs_pb2
from flow_wire.codec.coordination import (
    decode_peer_progress,
    decode_run_role,
    decode_traffic,
    encode_peer_progress,
    encode_run_role,
    encode_traffic,
)
from flow_wire.codec.enums import DESIRED, PARTY_RUN_STATE, RUN_STATUS
from flow_wire.codec.templates import decode_template_spec, encode_template_spec
from flow_wire.codec.times import decode_required_time, decode_time, encode_time


def decode_reason(text: str) -> Reason:
    """Return the reason; one that a newer peer invented reads as a runtime error."""
    return known(text or Reason.NONE)


def encode_party_run(party_run: PartyRun) -> runs_pb2.PartyRun:
    """Contract to wire."""
    wire = runs_pb2.PartyRun(
        party_run_id=party_run.party_run_id,
        run_id=party_run.run_id,
        federated_id=party_run.federated_id,
        rank=party_run.rank,
        federated_data=party_run.federated_data,
        desired=DESIRED.encode(party_run.desired),
        state=PARTY_RUN_STATE.encode(party_run.state),
        reason=party_run.reason,
        message=party_run.message,
        exit_code=party_run.exit_code,
        gpu_ids=party_run.gpu_ids,
        image_digest=party_run.image_digest,
        current_epoch=party_run.current_epoch,
        total_epoch=party_run.total_epoch,
        note=party_run.note,
        role=encode_run_role(party_run.role),
        traffic=[encode_traffic(each) for each in party_run.traffic],
        peer_progress=[encode_peer_progress(each) for each in party_run.peer_progress],
    )
    encode_time(wire.started_at, party_run.started_at)
    encode_time(wire.finished_at, party_run.finished_at)
    return wire


def decode_party_run(wire: runs_pb2.PartyRun) -> PartyRun:
    """Wire to contract."""
    return PartyRun(
        party_run_id=wire.party_run_id,
        run_id=wire.run_id,
        federated_id=wire.federated_id,
        rank=wire.rank,
        federated_data=wire.federated_data,
        desired=DESIRED.decode(wire.desired, "desired"),
        state=PARTY_RUN_STATE.decode(wire.state, "state"),
        reason=decode_reason(wire.reason),
        message=wire.message,
        exit_code=wire.exit_code if wire.HasField("exit_code") else None,
        gpu_ids=tuple(wire.gpu_ids),
        image_digest=wire.image_digest,
        started_at=decode_time(wire, "started_at"),
        finished_at=decode_time(wire, "finished_at"),
        current_epoch=wire.current_epoch if wire.HasField("current_epoch") else None,
        total_epoch=wire.total_epoch if wire.HasField("total_epoch") else None,
        note=wire.note,
        role=decode_run_role(wire.role),
        traffic=tuple(decode_traffic(each) for each in wire.traffic),
        peer_progress=tuple(decode_peer_progress(each) for each in wire.peer_progress),
    )


def encode_run(run: Run) -> runs_pb2.Run:
    """Contract to wire."""
    wire = runs_pb2.Run(
        run_id=run.run_id,
        task_id=run.task_id,
        number=run.number,
        status=RUN_STATUS.encode(run.status),
        message=run.message,
        snapshot=runs_pb2.Snapshot(
            template_id=run.snapshot.template_id,
            template=encode_template_spec(run.snapshot.template),
            epochs=run.snapshot.epochs,
            hyper_parameter=run.snapshot.hyper_parameter,
            enable_smpc=run.snapshot.enable_smpc,
        ),
        party_runs=[encode_party_run(party_run) for party_run in run.party_runs],
        retry_of=run.retry_of,
        requested_by=run.requested_by,
    )
    encode_time(wire.retry_at, run.retry_at)
    encode_time(wire.created_at, run.created_at)
    encode_time(wire.ended_at, run.ended_at)
    return wire


def decode_run(wire: runs_pb2.Run) -> Run:
    """Wire to contract."""
    return Run(
        run_id=wire.run_id,
        task_id=wire.task_id,
        number=wire.number,
        status=RUN_STATUS.decode(wire.status, "status"),
        message=wire.message,
        snapshot=Snapshot(
            template_id=wire.snapshot.template_id,
            template=decode_template_spec(wire.snapshot.template),
            epochs=wire.snapshot.epochs,
            hyper_parameter=tuple(wire.snapshot.hyper_parameter),
            enable_smpc=wire.snapshot.enable_smpc,
        ),
        party_runs=tuple(decode_party_run(party_run) for party_run in wire.party_runs),
        created_at=decode_required_time(wire, "created_at"),
        ended_at=decode_time(wire, "ended_at"),
        retry_of=wire.retry_of if wire.HasField("retry_of") else None,
        retry_at=decode_time(wire, "retry_at"),
        requested_by=wire.requested_by,
    )
