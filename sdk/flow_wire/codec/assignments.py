"""Assignments and reports on the wire."""

from collections import OrderedDict
from dataclasses import dataclass, field, replace

from flow_contract.assignments import Assignment, Report, WorkloadSpec
from flow_contract.coordination import Peer, RunRole
from flow_wire import agents_pb2
from flow_wire.codec.coordination import (
    decode_framework,
    decode_mesh,
    decode_peer,
    decode_peer_progress,
    decode_run_role,
    decode_traffic,
    encode_framework,
    encode_mesh,
    encode_peer,
    encode_peer_progress,
    encode_run_role,
    encode_traffic,
)
from flow_wire.codec.enums import DESIRED, NETWORK, PARTY_RUN_STATE
from flow_wire.codec.resources import decode_resources, encode_resources
from flow_wire.codec.runs import decode_reason
from flow_wire.codec.templates import (
    decode_mounts,
    decode_on_disconnect,
    encode_mounts,
    encode_on_disconnect,
)
from flow_wire.codec.times import decode_required_time, decode_time, encode_time

# What a replica delivers at a time; a run of a thousand parties takes some 50 KB.
_KNOWN_RUNS = 64


def encode_workload_spec(spec: WorkloadSpec) -> agents_pb2.WorkloadSpec:
    """Contract to wire."""
    return agents_pb2.WorkloadSpec(
        party_run_id=spec.party_run_id,
        run_id=spec.run_id,
        task_id=spec.task_id,
        order=spec.order,
        federated_id=spec.federated_id,
        rank=spec.rank,
        parties=spec.parties,
        image_url=spec.image_url,
        workdir=spec.workdir,
        command=spec.command,
        env=spec.env,
        epochs=spec.epochs,
        hyper_parameter=spec.hyper_parameter,
        enable_smpc=spec.enable_smpc,
        resources=encode_resources(spec.resources),
        federated_data=spec.federated_data,
        mounts=encode_mounts(spec.mounts),
        user=spec.user,
        network=NETWORK.encode(spec.network),
        stop_grace_s=spec.stop_grace_s,
        run_timeout_s=spec.run_timeout_s,
        on_disconnect=encode_on_disconnect(spec.on_disconnect),
        requested_by=spec.requested_by,
        template_id=spec.template_id,
        template_name=spec.template_name,
        role=encode_run_role(spec.role),
        peers=[encode_peer(peer) for peer in spec.peers],
        coordinator_ports=spec.coordinator_ports,
        mesh=encode_mesh(spec.mesh),
        connect_timeout_s=spec.connect_timeout_s,
        framework=encode_framework(spec.framework),
    )


def decode_workload_spec(wire: agents_pb2.WorkloadSpec) -> WorkloadSpec:
    """Wire to contract.

    Raises:
        InvalidArgument: an enum value is not known.
    """
    return WorkloadSpec(
        party_run_id=wire.party_run_id,
        run_id=wire.run_id,
        task_id=wire.task_id,
        order=wire.order,
        federated_id=wire.federated_id,
        rank=wire.rank,
        parties=tuple(wire.parties),
        image_url=wire.image_url,
        workdir=wire.workdir,
        command=tuple(wire.command),
        env=dict(wire.env),
        epochs=wire.epochs,
        hyper_parameter=tuple(wire.hyper_parameter),
        enable_smpc=wire.enable_smpc,
        resources=decode_resources(wire.resources),
        federated_data=wire.federated_data,
        mounts=decode_mounts(wire),
        user=wire.user,
        network=NETWORK.decode(wire.network, "network"),
        stop_grace_s=wire.stop_grace_s,
        run_timeout_s=wire.run_timeout_s if wire.HasField("run_timeout_s") else None,
        on_disconnect=decode_on_disconnect(wire.on_disconnect),
        requested_by=wire.requested_by,
        template_id=wire.template_id,
        template_name=wire.template_name,
        role=decode_run_role(wire.role),
        peers=tuple(decode_peer(peer) for peer in wire.peers),
        coordinator_ports=tuple(wire.coordinator_ports),
        mesh=decode_mesh(wire.mesh),
        connect_timeout_s=wire.connect_timeout_s,
        framework=decode_framework(wire.framework),
    )


def encode_assignment(assignment: Assignment) -> agents_pb2.Assignment:
    """Contract to wire."""
    return agents_pb2.Assignment(
        spec=encode_workload_spec(assignment.spec),
        desired=DESIRED.encode(assignment.desired),
        cause=assignment.cause,
        traceparent=assignment.traceparent,
    )


@dataclass(frozen=True, kw_only=True)
class _Shared:
    """What the members of one role in a run have in common, and each peer that one of them has."""

    spec: agents_pb2.WorkloadSpec
    peers: dict[str, agents_pb2.Peer] = field(default_factory=dict)

    def peer(self, peer: Peer) -> agents_pb2.Peer:
        known = self.peers.get(peer.party_run_id)
        if known is None:
            known = self.peers[peer.party_run_id] = encode_peer(peer)
        return known


class AssignmentEncoder:
    """Contract to wire for many assignments of few runs.

    What those of a run have in common, its list of parties above all, is encoded once.
    """

    def __init__(self) -> None:
        self._shared: OrderedDict[tuple[str, RunRole], _Shared] = OrderedDict()

    def add(self, assignment: Assignment, into: agents_pb2.Assignments) -> agents_pb2.Assignment:
        """Append the assignment to `into` and return it there."""
        spec = assignment.spec
        wire = into.assignments.add(
            desired=DESIRED.encode(assignment.desired),
            cause=assignment.cause,
            traceparent=assignment.traceparent,
        )
        shared = self._shared_by(spec)
        wire.spec.CopyFrom(shared.spec)
        wire.spec.party_run_id = spec.party_run_id
        wire.spec.federated_id = spec.federated_id
        wire.spec.federated_data = spec.federated_data
        wire.spec.rank = spec.rank
        if spec.peers:
            wire.spec.peers.extend([shared.peer(peer) for peer in spec.peers])
        return wire

    def _shared_by(self, spec: WorkloadSpec) -> _Shared:
        key = (spec.run_id, spec.role)
        known = self._shared.get(key)
        if known is None:
            # Each member of a mesh has its own peers.
            alike = encode_workload_spec(replace(spec, peers=()))
            known = self._shared[key] = _Shared(spec=alike)
            if len(self._shared) > _KNOWN_RUNS:
                self._shared.popitem(last=False)
        return known


def decode_assignment(wire: agents_pb2.Assignment) -> Assignment:
    """Wire to contract.

    Raises:
        InvalidArgument: an enum value is not known.
    """
    return Assignment(
        spec=decode_workload_spec(wire.spec),
        desired=DESIRED.decode(wire.desired, "desired"),
        cause=decode_reason(wire.cause),
        traceparent=wire.traceparent,
    )


def encode_report(report: Report) -> agents_pb2.Report:
    """Contract to wire."""
    wire = agents_pb2.Report(
        party_run_id=report.party_run_id,
        sequence=report.sequence,
        state=PARTY_RUN_STATE.encode(report.state),
        reason=report.reason,
        message=report.message,
        exit_code=report.exit_code,
        gpu_ids=report.gpu_ids,
        image_digest=report.image_digest,
        current_epoch=report.current_epoch,
        total_epoch=report.total_epoch,
        note=report.note,
        traffic=[encode_traffic(each) for each in report.traffic],
        peer_progress=[encode_peer_progress(each) for each in report.peer_progress],
    )
    encode_time(wire.observed_at, report.observed_at)
    encode_time(wire.started_at, report.started_at)
    encode_time(wire.finished_at, report.finished_at)
    return wire


def decode_report(wire: agents_pb2.Report) -> Report:
    """Wire to contract.

    Raises:
        InvalidArgument: the state is not a known value.
    """
    return Report(
        party_run_id=wire.party_run_id,
        sequence=wire.sequence,
        state=PARTY_RUN_STATE.decode(wire.state, "state"),
        reason=decode_reason(wire.reason),
        message=wire.message,
        exit_code=wire.exit_code if wire.HasField("exit_code") else None,
        gpu_ids=tuple(wire.gpu_ids),
        image_digest=wire.image_digest,
        observed_at=decode_required_time(wire, "observed_at"),
        started_at=decode_time(wire, "started_at"),
        finished_at=decode_time(wire, "finished_at"),
        current_epoch=wire.current_epoch if wire.HasField("current_epoch") else None,
        total_epoch=wire.total_epoch if wire.HasField("total_epoch") else None,
        note=wire.note,
        traffic=tuple(decode_traffic(each) for each in wire.traffic),
        peer_progress=tuple(decode_peer_progress(each) for each in wire.peer_progress),
    )
