"""Parties and inventories on the wire."""

from flow_contract.parties import Inventory, Party
from flow_wire import parties_pb2
from flow_wire.codec.times import decode_required_time, encode_time


def encode_inventory(inventory: Inventory) -> parties_pb2.Inventory:
    """Contract to wire."""
    return parties_pb2.Inventory(
        runtime=inventory.runtime,
        agent_version=inventory.agent_version,
        cpus=inventory.cpus,
        memory_bytes=inventory.memory_bytes,
        gpu_ids=inventory.gpu_ids,
        data_names=inventory.data_names,
        coordinates=inventory.coordinates,
        direct_address=inventory.direct_address,
    )


def decode_inventory(wire: parties_pb2.Inventory) -> Inventory:
    """Wire to contract."""
    return Inventory(
        runtime=wire.runtime,
        agent_version=wire.agent_version,
        cpus=wire.cpus,
        memory_bytes=wire.memory_bytes,
        gpu_ids=tuple(wire.gpu_ids),
        data_names=tuple(wire.data_names),
        coordinates=wire.coordinates,
        direct_address=wire.direct_address,
    )


def encode_party(party: Party) -> parties_pb2.Party:
    """Contract to wire."""
    wire = parties_pb2.Party(
        federated_id=party.federated_id,
        name=party.name,
        connected=party.connected,
        draining=party.draining,
        inventory=encode_inventory(party.inventory),
    )
    encode_time(wire.first_seen_at, party.first_seen_at)
    encode_time(wire.last_seen_at, party.last_seen_at)
    return wire


def decode_party(wire: parties_pb2.Party) -> Party:
    """Wire to contract."""
    return Party(
        federated_id=wire.federated_id,
        name=wire.name,
        connected=wire.connected,
        draining=wire.draining,
        inventory=decode_inventory(wire.inventory),
        first_seen_at=decode_required_time(wire, "first_seen_at"),
        last_seen_at=decode_required_time(wire, "last_seen_at"),
    )
