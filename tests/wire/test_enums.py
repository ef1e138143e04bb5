"""Wire enums and contract enums hold the same members."""

import pytest

from flow_contract.access import Right, Role
from flow_contract.audit import Outcome
from flow_contract.errors import InvalidArgument
from flow_contract.lifecycle import Desired, PartyRunState, RunStatus
from flow_contract.logs import LogState
from flow_contract.outputs import OutputState
from flow_contract.templates import Network
from flow_wire import audit_pb2, logs_pb2, outputs_pb2, runs_pb2, templates_pb2, users_pb2
from flow_wire.codec import enums

CODECS = [
    (enums.RUN_STATUS, RunStatus, runs_pb2.RunStatus),
    (enums.PARTY_RUN_STATE, PartyRunState, runs_pb2.PartyRunState),
    (enums.DESIRED, Desired, runs_pb2.Desired),
    (enums.NETWORK, Network, templates_pb2.Network),
    (enums.ROLE, Role, users_pb2.Role),
    (enums.RIGHT, Right, users_pb2.Right),
    (enums.OUTCOME, Outcome, audit_pb2.Outcome),
    (enums.LOG_STATE, LogState, logs_pb2.LogState),
    (enums.OUTPUT_STATE, OutputState, outputs_pb2.OutputState),
]
each_codec = pytest.mark.parametrize(("codec", "contract", "wire"), CODECS)


@each_codec
def test_every_member_goes_over_the_wire_and_back(codec, contract, wire):
    for member in contract:
        assert codec.decode(codec.encode(member), "f") is member


@each_codec
def test_every_wire_value_but_unspecified_has_a_member(codec, contract, wire):
    decoded = {codec.decode(number, "f") for number in wire.values() if number != 0}
    assert decoded == set(contract)


@each_codec
@pytest.mark.parametrize("number", [0, -1, 9999])
def test_unspecified_and_unknown_values_are_refused_by_the_fields_name(
    codec, contract, wire, number
):
    with pytest.raises(InvalidArgument) as raised:
        codec.decode(number, "the_field")
    assert raised.value.field == "the_field"
    assert "the_field" in raised.value.message


@each_codec
def test_the_zero_value_is_named_unspecified(codec, contract, wire):
    assert wire.Name(0).endswith("_UNSPECIFIED")
