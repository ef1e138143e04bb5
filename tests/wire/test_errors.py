"""Catalogue errors over the wire: the client raises the class that the server raised."""

import grpc
import pytest
from google.protobuf.any_pb2 import Any
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st

from flow_contract.errors import CATALOGUE, Kind, NotFound, ret_code
from flow_wire.codec.errors import DOMAIN, decode_error, encode_error
from tests.wire import basic_strategies


def through_bytes(status):
    return Status.FromString(status.SerializeToString())


def status_with(**info):
    detail = Any()
    detail.Pack(ErrorInfo(**info))
    return Status(code=5, message="gone", details=[detail])


@pytest.mark.parametrize("error", CATALOGUE)
@pytest.mark.parametrize("kind", Kind)
def test_every_class_arrives_as_itself(error, kind):
    sent = error("what happened", kind=kind, subject_id="t1", field="name")
    got = decode_error(through_bytes(encode_error(sent)))
    assert type(got) is error
    assert vars(got) == vars(sent)
    assert ret_code(got) == ret_code(sent)


@given(message=basic_strategies.text, subject_id=basic_strategies.text, field=basic_strategies.text)
def test_every_text_arrives_unchanged(message, subject_id, field):
    sent = NotFound(message, kind=Kind.RUN, subject_id=subject_id, field=field)
    assert vars(decode_error(through_bytes(encode_error(sent)))) == vars(sent)


@pytest.mark.parametrize("error", CATALOGUE)
def test_the_status_code_is_that_of_the_catalogue(error):
    assert encode_error(error("x")).code == grpc.StatusCode[CATALOGUE[error].grpc].value[0]


@pytest.mark.parametrize("error", CATALOGUE)
def test_a_client_without_our_catalogue_reads_the_number_in_the_metadata(error):
    sent = error("x", kind=Kind.TASK, subject_id="t1", field="f")
    info = ErrorInfo()
    assert encode_error(sent).details[0].Unpack(info)
    number = ret_code(sent)
    assert (info.domain, info.reason) == ("fedflow", error.code)
    assert dict(info.metadata) == {
        "kind": "task",
        "subject_id": "t1",
        "field": "f",
        "ret_code": "" if number is None else str(number),
    }


@pytest.mark.parametrize(
    "status",
    [
        Status(code=5, message="no details"),
        status_with(domain="example.org", reason="NOT_FOUND", metadata={"kind": "task"}),
        status_with(domain=DOMAIN, reason="FROM_THE_FUTURE", metadata={"kind": "task"}),
    ],
)
def test_a_status_that_is_not_of_our_catalogue_decodes_to_nothing(status):
    assert decode_error(through_bytes(status)) is None


@pytest.mark.parametrize("metadata", [{}, {"kind": ""}, {"kind": "from_the_future"}])
def test_a_kind_that_a_newer_peer_invented_does_not_hide_the_error(metadata):
    got = decode_error(status_with(domain=DOMAIN, reason="NOT_FOUND", metadata=metadata))
    assert type(got) is NotFound
    assert got.message == "gone"


@given(st.binary(max_size=40))
def test_other_details_are_passed_over(payload):
    sent = encode_error(NotFound("gone", kind=Kind.TASK))
    sent.details.insert(0, Any(type_url="type.googleapis.com/other.Thing", value=payload))
    assert type(decode_error(sent)) is NotFound
