"""Fields that a sender set and this schema doesn't know.

Protobuf keeps them silently, so a misspelt or newer field would look accepted and do nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from flow_contract.errors import InvalidArgument

# The error travels in a few kilobytes of trailing metadata.
MAX_NAMED = 10
MAX_KEY_LENGTH = 40


@dataclass(frozen=True, kw_only=True)
class UnknownField:
    """A field number that the message at `path` doesn't know; "" is the outermost message."""

    path: str
    number: int

    def __str__(self) -> str:
        """Return for instance `spec.mounts[0].#99`."""
        return f"{self.path}.#{self.number}" if self.path else f"#{self.number}"


def find_unknown_fields(message: Message) -> list[UnknownField]:
    """Return every unknown field at any depth, outer ones first; [] is cheap."""
    if not _has_unknown_fields(message):
        return []
    return list(_walk(message, ""))


def reject_unknown_fields(message: Message) -> None:
    """Accept a message all of whose fields this schema knows.

    Raises:
        InvalidArgument: it holds others; names path and number of each.
    """
    unknown = find_unknown_fields(message)
    if not unknown:
        return
    named = ", ".join(str(field) for field in unknown[:MAX_NAMED])
    more = f" and {len(unknown) - MAX_NAMED} more" if len(unknown) > MAX_NAMED else ""
    raise InvalidArgument(
        f"{named}{more}: {type(message).DESCRIPTOR.name} has no such field here; "
        "leave it out, or ask for a newer server",
        field=str(unknown[0]),
    )


def _has_unknown_fields(message: Message) -> bool:
    """Say whether there are any, without a Python object per field."""
    known = type(message)()
    known.CopyFrom(message)
    known.DiscardUnknownFields()
    return known.ByteSize() != message.ByteSize()


def _walk(message: Message, path: str) -> Iterator[UnknownField]:
    unknown = UnknownFieldSet(message)
    numbers = [unknown[position].field_number for position in range(len(unknown))]
    # A repeated field leaves its number once per value.
    for number in dict.fromkeys(numbers):
        yield UnknownField(path=path, number=number)
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        name = f"{path}.{descriptor.name}" if path else descriptor.name
        for place, child in _children(value):
            yield from _walk(child, name + place)


def _children(value: Any) -> Iterator[tuple[str, Message]]:
    """Yield the messages in a message field's value, each with its place in it."""
    if isinstance(value, Message):
        yield "", value
    elif isinstance(value, Mapping):
        for key, child in value.items():
            if isinstance(child, Message):
                yield f"[{str(key)[:MAX_KEY_LENGTH]!r}]", child
    else:
        for position, child in enumerate(value):
            yield f"[{position}]", child
