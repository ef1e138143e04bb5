"""Wire enums and contract enums, matched by member name.

`_UNSPECIFIED` never decodes: a sender that left the value out made a mistake.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Generic, Protocol, TypeVar, cast

from flow_contract import access, audit, coordination, events, lifecycle, logs, outputs, templates
from flow_contract.errors import InvalidArgument
from flow_wire import (
    audit_pb2,
    events_pb2,
    logs_pb2,
    outputs_pb2,
    runs_pb2,
    templates_pb2,
    users_pb2,
)

E = TypeVar("E", bound=StrEnum)
W = TypeVar("W", bound=int)
W_co = TypeVar("W_co", covariant=True)


class _WireEnum(Protocol[W_co]):
    def items(self) -> Sequence[tuple[str, W_co]]: ...


class EnumCodec(Generic[E, W]):
    """Both directions for one enum. Invariant: total over the contract's members."""

    def __init__(self, contract: type[E], wire: type[W], prefix: str) -> None:
        # The stubs call a wire enum a class; what protobuf makes is an object with `items`.
        numbers = dict(cast("_WireEnum[W]", wire).items())
        self._to_wire = {member: numbers[f"{prefix}_{member.name}"] for member in contract}
        self._from_wire: dict[int, E] = {number: member for member, number in self._to_wire.items()}

    def encode(self, member: E) -> W:
        """Return the wire number."""
        return self._to_wire[member]

    def decode(self, number: int, field: str) -> E:
        """Return the contract's member.

        Raises:
            InvalidArgument: the number is unspecified or unknown; names `field`.
        """
        try:
            return self._from_wire[number]
        except KeyError:
            raise InvalidArgument(
                f"{field}: {number} is not a known value; set one of "
                f"{', '.join(member.name for member in self._to_wire)}",
                field=field,
            ) from None


RUN_STATUS = EnumCodec(lifecycle.RunStatus, runs_pb2.RunStatus, "RUN_STATUS")
PARTY_RUN_STATE = EnumCodec(lifecycle.PartyRunState, runs_pb2.PartyRunState, "PARTY_RUN_STATE")
DESIRED = EnumCodec(lifecycle.Desired, runs_pb2.Desired, "DESIRED")
RUN_ROLE = EnumCodec(coordination.RunRole, templates_pb2.RunRole, "RUN_ROLE")
ENDS = EnumCodec(coordination.Ends, templates_pb2.Ends, "ENDS")
FRAMEWORK = EnumCodec(coordination.Framework, templates_pb2.Framework, "FRAMEWORK")
NETWORK = EnumCodec(templates.Network, templates_pb2.Network, "NETWORK")
ROLE = EnumCodec(access.Role, users_pb2.Role, "ROLE")
RIGHT = EnumCodec(access.Right, users_pb2.Right, "RIGHT")
OUTCOME = EnumCodec(audit.Outcome, audit_pb2.Outcome, "OUTCOME")
EVENT_KIND = EnumCodec(events.EventKind, events_pb2.EventKind, "EVENT_KIND")
LOG_STATE = EnumCodec(logs.LogState, logs_pb2.LogState, "LOG_STATE")
OUTPUT_STATE = EnumCodec(outputs.OutputState, outputs_pb2.OutputState, "OUTPUT_STATE")
