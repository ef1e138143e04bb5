"""Timestamps on the wire and aware UTC datetimes."""

from datetime import UTC, datetime

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp


def encode_time(target: Timestamp, value: datetime | None) -> None:
    """Fill `target`, or leave it unset for None."""
    if value is not None:
        target.FromDatetime(value)


def decode_time(message: Message, field: str) -> datetime | None:
    """Return the field as aware UTC, None where it is not set."""
    if not message.HasField(field):
        return None
    stamp: Timestamp = getattr(message, field)
    return stamp.ToDatetime(tzinfo=UTC)


def decode_required_time(message: Message, field: str) -> datetime:
    """Return the field as aware UTC; a missing one reads as 1970, which no peer of ours sends."""
    stamp: Timestamp = getattr(message, field)
    return stamp.ToDatetime(tzinfo=UTC)
