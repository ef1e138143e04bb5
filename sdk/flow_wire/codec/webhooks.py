"""Webhooks on the wire."""

from flow_contract.webhooks import Delivery, Webhook
from flow_wire import webhooks_pb2
from flow_wire.codec.times import decode_required_time, decode_time, encode_time


def encode_webhook(webhook: Webhook) -> webhooks_pb2.Webhook:
    """Contract to wire."""
    wire = webhooks_pb2.Webhook(
        webhook_id=webhook.webhook_id,
        owner=webhook.owner,
        of_all=webhook.of_all,
        task_id=webhook.task_id,
        url=webhook.url,
    )
    encode_time(wire.created_at, webhook.created_at)
    return wire


def decode_webhook(wire: webhooks_pb2.Webhook) -> Webhook:
    """Wire to contract.

    Raises:
        InvalidArgument: the time can't be read.
    """
    return Webhook(
        webhook_id=wire.webhook_id,
        owner=wire.owner,
        of_all=wire.of_all,
        task_id=wire.task_id,
        url=wire.url,
        created_at=decode_required_time(wire, "created_at"),
    )


def encode_delivery(delivery: Delivery) -> webhooks_pb2.Delivery:
    """Contract to wire."""
    wire = webhooks_pb2.Delivery(
        delivery_id=delivery.delivery_id,
        webhook_id=delivery.webhook_id,
        event_id=delivery.event_id,
        attempts=delivery.attempts,
        http_status=delivery.http_status,
        problem=delivery.problem,
    )
    encode_time(wire.created_at, delivery.created_at)
    encode_time(wire.next_at, delivery.next_at)
    encode_time(wire.delivered_at, delivery.delivered_at)
    encode_time(wire.given_up_at, delivery.given_up_at)
    return wire


def decode_delivery(wire: webhooks_pb2.Delivery) -> Delivery:
    """Wire to contract.

    Raises:
        InvalidArgument: a time can't be read.
    """
    return Delivery(
        delivery_id=wire.delivery_id,
        webhook_id=wire.webhook_id,
        event_id=wire.event_id,
        attempts=wire.attempts,
        created_at=decode_required_time(wire, "created_at"),
        next_at=decode_time(wire, "next_at"),
        delivered_at=decode_time(wire, "delivered_at"),
        given_up_at=decode_time(wire, "given_up_at"),
        http_status=wire.http_status,
        problem=wire.problem,
    )
