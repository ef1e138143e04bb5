"""Tickets and offers of tunnels on the wire."""

from flow_contract.tunnels import Offer, Ticket
from flow_wire import tunnels_pb2


def encode_ticket(ticket: Ticket) -> tunnels_pb2.TunnelTicket:
    """Contract to wire."""
    return tunnels_pb2.TunnelTicket(
        tunnel_id=ticket.tunnel_id,
        secret=ticket.secret,
        relay_address=ticket.relay_address,
        direct_address=ticket.direct_address,
    )


def decode_ticket(wire: tunnels_pb2.TunnelTicket) -> Ticket:
    """Wire to contract."""
    return Ticket(
        tunnel_id=wire.tunnel_id,
        secret=wire.secret,
        relay_address=wire.relay_address,
        direct_address=wire.direct_address,
    )


def encode_offer(offer: Offer) -> tunnels_pb2.TunnelOffer:
    """Contract to wire."""
    return tunnels_pb2.TunnelOffer(
        ticket=encode_ticket(offer.ticket),
        party_run_id=offer.party_run_id,
        peer_party_run_id=offer.peer_party_run_id,
        peer_federated_id=offer.peer_federated_id,
        port=offer.port,
    )


def decode_offer(wire: tunnels_pb2.TunnelOffer) -> Offer:
    """Wire to contract."""
    return Offer(
        ticket=decode_ticket(wire.ticket),
        party_run_id=wire.party_run_id,
        peer_party_run_id=wire.peer_party_run_id,
        peer_federated_id=wire.peer_federated_id,
        port=wire.port,
    )
