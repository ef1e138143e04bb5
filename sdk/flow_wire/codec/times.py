"""Timestamps on the wire and aware UTC datetimes."""

from datetime import UTC, datetime

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from flow_contract.errors import InvalidArgument


def encode_time(target: Timestamp, value: datetime | None) -> None:
    """Fill `target`, or leave it unset for None."""
    if value is not None:
        target.FromDatetime(value)


def decode_time(message: Message, field: str) -> datetime | None:
    """Return the field as aware UTC, None where it is not set.

    Raises:
        InvalidArgument: it lies outside the years that a datetime can hold.
    """
    return decode_required_time(message, field) if message.HasField(field) else None


def decode_required_time(message: Message, field: str) -> datetime:
    """Return the field as aware UTC; a missing one reads as 1970, which no peer of ours sends.

    Raises:
        InvalidArgument: it lies outside the years that a datetime can hold.
    """
    stamp: Timestamp = getattr(message, field)
    try:
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidArgument(f"{field}: not a time that can be stored", field=field) from None
