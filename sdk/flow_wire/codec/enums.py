"""Wire enums and contract enums, matched by member name.

`_UNSPECIFIED` never decodes: a sender that left the value out made a mistake.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from flow_contract import lifecycle, templates
from flow_contract.errors import InvalidArgument
from flow_wire import runs_pb2, templates_pb2

E = TypeVar("E", bound=StrEnum)


class _WireEnum(Protocol):
    def items(self) -> list[tuple[str, int]]: ...


class EnumCodec(Generic[E]):
    """Both directions for one enum. Invariant: total over the contract's members."""

    def __init__(self, contract: type[E], wire: _WireEnum, prefix: str) -> None:
        numbers: Mapping[str, int] = dict(wire.items())
        self._to_wire = {member: numbers[f"{prefix}_{member.name}"] for member in contract}
        self._from_wire = {number: member for member, number in self._to_wire.items()}

    def encode(self, member: E) -> int:
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
PARTY_RUN_STATE = EnumCodec(
    lifecycle.PartyRunState, runs_pb2.PartyRunState, "PARTY_RUN_STATE"
)
DESIRED = EnumCodec(lifecycle.Desired, runs_pb2.Desired, "DESIRED")
NETWORK = EnumCodec(templates.Network, templates_pb2.Network, "NETWORK")
