"""Coordinators, peers and what flows between them, on the wire."""

from collections.abc import Iterable

from flow_contract.coordination import (
    Ends,
    Framework,
    Peer,
    PeerProgress,
    PortRange,
    RunRole,
    Traffic,
)
from flow_contract.templates import Coordinator
from flow_wire import agents_pb2, runs_pb2, templates_pb2
from flow_wire.codec.enums import ENDS, FRAMEWORK, RUN_ROLE
from flow_wire.codec.resources import decode_resources, encode_resources


def encode_coordinator(coordinator: Coordinator) -> templates_pb2.Coordinator:
    """Contract to wire."""
    return templates_pb2.Coordinator(
        image_url=coordinator.image_url,
        workdir=coordinator.workdir,
        command=coordinator.command,
        env=coordinator.env,
        resources=encode_resources(coordinator.resources),
        ports=coordinator.ports,
        party=coordinator.party,
        ends=ENDS.encode(coordinator.ends),
        decides=coordinator.decides,
    )


def decode_coordinator(wire: templates_pb2.Coordinator) -> Coordinator:
    """Wire to contract; absent `ends` means after the parties.

    Raises:
        InvalidArgument: `ends` is not a known value.
    """
    return Coordinator(
        image_url=wire.image_url,
        workdir=wire.workdir,
        command=tuple(wire.command),
        env=dict(wire.env),
        resources=decode_resources(wire.resources),
        ports=tuple(wire.ports),
        party=wire.party,
        ends=ENDS.decode(wire.ends, "coordinator.ends") if wire.ends else Ends.AFTER_PARTIES,
        decides=wire.decides,
    )


def encode_mesh(mesh: Iterable[PortRange]) -> list[templates_pb2.PortRange]:
    """Contract to wire."""
    return [templates_pb2.PortRange(first=ports.first, last=ports.last) for ports in mesh]


def decode_mesh(wire: Iterable[templates_pb2.PortRange]) -> tuple[PortRange, ...]:
    """Wire to contract."""
    return tuple(PortRange(first=ports.first, last=ports.last) for ports in wire)


def decode_framework(number: templates_pb2.Framework) -> Framework:
    """Wire to contract; unspecified, as older servers leave it, means none.

    Raises:
        InvalidArgument: it is not a known value.
    """
    return FRAMEWORK.decode(number, "framework") if number else Framework.NONE


def encode_framework(framework: Framework) -> templates_pb2.Framework:
    """Contract to wire."""
    return FRAMEWORK.encode(framework)


def encode_run_role(role: RunRole) -> templates_pb2.RunRole:
    """Contract to wire."""
    return RUN_ROLE.encode(role)


def decode_run_role(number: templates_pb2.RunRole) -> RunRole:
    """Wire to contract; unspecified, as older servers leave it, means a party.

    Raises:
        InvalidArgument: it is not a known value.
    """
    return RUN_ROLE.decode(number, "role") if number else RunRole.PARTY


def encode_peer(peer: Peer) -> agents_pb2.Peer:
    """Contract to wire."""
    return agents_pb2.Peer(
        name=peer.name,
        federated_id=peer.federated_id,
        party_run_id=peer.party_run_id,
        rank=peer.rank,
        role=encode_run_role(peer.role),
    )


def decode_peer(wire: agents_pb2.Peer) -> Peer:
    """Wire to contract.

    Raises:
        InvalidArgument: the role is not a known value.
    """
    return Peer(
        name=wire.name,
        federated_id=wire.federated_id,
        party_run_id=wire.party_run_id,
        rank=wire.rank,
        role=decode_run_role(wire.role),
    )


def encode_traffic(traffic: Traffic) -> runs_pb2.Traffic:
    """Contract to wire."""
    return runs_pb2.Traffic(
        peer=traffic.peer,
        sent_bytes=traffic.sent_bytes,
        received_bytes=traffic.received_bytes,
        connections=traffic.connections,
    )


def decode_traffic(wire: runs_pb2.Traffic) -> Traffic:
    """Wire to contract."""
    return Traffic(
        peer=wire.peer,
        sent_bytes=wire.sent_bytes,
        received_bytes=wire.received_bytes,
        connections=wire.connections,
    )


def encode_peer_progress(progress: PeerProgress) -> runs_pb2.PeerProgress:
    """Contract to wire."""
    return runs_pb2.PeerProgress(
        federated_id=progress.federated_id,
        ready=progress.ready,
        complete=progress.complete,
        current_epoch=progress.current_epoch,
        total_epoch=progress.total_epoch,
    )


def decode_peer_progress(wire: runs_pb2.PeerProgress) -> PeerProgress:
    """Wire to contract."""
    return PeerProgress(
        federated_id=wire.federated_id,
        ready=wire.ready,
        complete=wire.complete,
        current_epoch=wire.current_epoch if wire.HasField("current_epoch") else None,
        total_epoch=wire.total_epoch if wire.HasField("total_epoch") else None,
    )
