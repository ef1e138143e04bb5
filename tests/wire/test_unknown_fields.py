"""Fields that a sender set and the schema doesn't know."""

import pytest
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from hypothesis import given, settings

from flow_contract.errors import InvalidArgument, ret_code
from flow_wire import tasks_pb2, templates_pb2
from flow_wire.codec.tasks import encode_task
from flow_wire.codec.unknown_fields import find_unknown_fields, reject_unknown_fields
from tests.wire import strategies


def varint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def with_unknown(message, number):
    """The message as a sender with a richer schema would have sent it: one more varint."""
    tail = varint(number << 3) + varint(7)
    return type(message).FromString(message.SerializeToString() + tail)


def found(message):
    return [str(field) for field in find_unknown_fields(message)]


@settings(max_examples=30, deadline=None)
@given(task=strategies.tasks)
def test_a_message_of_known_fields_is_accepted(task):
    reject_unknown_fields(encode_task(task))


def test_an_empty_message_is_accepted():
    reject_unknown_fields(tasks_pb2.GetTaskRequest())


def test_an_unknown_field_of_the_message_itself_is_found():
    assert found(with_unknown(tasks_pb2.GetTaskRequest(task_id="t"), 99)) == ["#99"]


def test_a_field_given_many_times_is_named_once():
    message = with_unknown(with_unknown(tasks_pb2.GetTaskRequest(), 99), 99)
    assert found(message) == ["#99"]


def test_an_unknown_field_in_a_message_field_is_found():
    spec = templates_pb2.TemplateSpec(name="n")
    spec.resources.CopyFrom(with_unknown(templates_pb2.Resources(cpus=1), 77))
    assert found(templates_pb2.CreateTemplateRequest(spec=spec)) == ["spec.resources.#77"]


def test_an_unknown_field_in_a_repeated_message_is_found_with_its_position():
    parties = [
        tasks_pb2.PartyData(federated_id="a"),
        with_unknown(tasks_pb2.PartyData(federated_id="b"), 12),
    ]
    request = tasks_pb2.CreateTaskRequest(spec=tasks_pb2.TaskSpec(federate_data=parties))
    assert found(request) == ["spec.federate_data[1].#12"]


def test_an_unknown_field_in_a_map_is_found_with_its_key():
    message = Struct()
    message.fields["plain"].number_value = 1
    message.fields["odd"].CopyFrom(with_unknown(Value(bool_value=True), 50))
    assert found(message) == ["fields['odd'].#50"]


def test_a_map_of_plain_values_holds_no_messages_to_look_into():
    assert found(with_unknown(templates_pb2.TemplateSpec(env={"A": "1"}), 60)) == ["#60"]


def test_several_are_found_at_every_depth_outer_ones_first():
    inner = ListValue(values=[with_unknown(Value(number_value=1), 41)])
    message = with_unknown(Value(list_value=with_unknown(inner, 42)), 43)
    assert found(message) == ["#43", "list_value.#42", "list_value.values[0].#41"]


@pytest.mark.parametrize("payload", [b"\x00" * 300, b"text"])
def test_unknown_bytes_are_found_too(payload):
    tail = varint(99 << 3 | 2) + varint(len(payload)) + payload
    assert found(tasks_pb2.GetTaskRequest.FromString(tail)) == ["#99"]


def test_the_refusal_names_the_message_and_each_field():
    request = with_unknown(with_unknown(tasks_pb2.GetTaskRequest(task_id="t"), 99), 100)
    with pytest.raises(InvalidArgument) as raised:
        reject_unknown_fields(request)
    assert raised.value.field == "#99"
    assert ret_code(raised.value) == 10000
    assert "#99, #100" in raised.value.message
    assert "GetTaskRequest" in raised.value.message


def test_the_refusal_of_a_thousand_fields_is_short():
    message = Struct()
    for position in range(1000):
        value = with_unknown(Value(bool_value=True), 50)
        message.fields[f"{position}" + "k" * 1000].CopyFrom(value)
    with pytest.raises(InvalidArgument) as raised:
        reject_unknown_fields(message)
    assert "990 more" in raised.value.message
    assert len(raised.value.message) < 1000


def test_looking_changes_nothing():
    request = with_unknown(tasks_pb2.GetTaskRequest(task_id="t"), 99)
    before = request.SerializeToString()
    found(request)
    assert request.SerializeToString() == before
