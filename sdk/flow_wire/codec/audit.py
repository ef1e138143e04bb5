"""Audit entries on the wire."""

from flow_contract.audit import Act, AuditEntry
from flow_wire import audit_pb2
from flow_wire.codec.enums import OUTCOME
from flow_wire.codec.times import decode_required_time, encode_time


def encode_act(act: Act) -> audit_pb2.Act:
    """Contract to wire."""
    wire = audit_pb2.Act(
        actor_kind=act.actor_kind,
        actor=act.actor,
        address=act.address,
        action=act.action,
        subject_kind=act.subject_kind,
        subject_id=act.subject_id,
        outcome=OUTCOME.encode(act.outcome),
        detail=act.detail,
    )
    encode_time(wire.at, act.at)
    return wire


def decode_act(wire: audit_pb2.Act) -> Act:
    """Wire to contract.

    Raises:
        InvalidArgument: the outcome is not a known value, or the time can't be read.
    """
    return Act(
        at=decode_required_time(wire, "at"),
        actor_kind=wire.actor_kind,
        actor=wire.actor,
        address=wire.address,
        action=wire.action,
        subject_kind=wire.subject_kind,
        subject_id=wire.subject_id,
        outcome=OUTCOME.decode(wire.outcome, "outcome"),
        detail=dict(wire.detail),
    )


def encode_audit_entry(entry: AuditEntry) -> audit_pb2.AuditEntry:
    """Contract to wire."""
    return audit_pb2.AuditEntry(
        sequence=entry.sequence,
        act=encode_act(entry.act),
        previous_hash=entry.previous_hash,
        hash=entry.hash,
    )


def decode_audit_entry(wire: audit_pb2.AuditEntry) -> AuditEntry:
    """Wire to contract. Raises as `decode_act`."""
    return AuditEntry(
        sequence=wire.sequence,
        act=decode_act(wire.act),
        previous_hash=wire.previous_hash,
        hash=wire.hash,
    )
