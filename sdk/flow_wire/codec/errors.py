"""Catalogue errors as `google.rpc.Status` with `ErrorInfo`, and back.

ErrorInfo: domain `fedflow`, reason = the catalogue's code, metadata = kind, subject_id, field,
ret_code. Source: google.rpc error model, https://google.aip.dev/193.
"""

from collections.abc import Iterable

from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from flow_contract.errors import BY_CODE, CATALOGUE, FlowError, Kind, ret_code

DOMAIN = "fedflow"
# Where gRPC puts a Status among the trailing metadata.
_DETAILS = "grpc-status-details-bin"


def encode_error(error: FlowError) -> Status:
    """Contract to wire."""
    number = ret_code(error)
    info = ErrorInfo(
        reason=error.code,
        domain=DOMAIN,
        metadata={
            "kind": error.kind,
            "subject_id": error.subject_id,
            "field": error.field,
            "ret_code": "" if number is None else str(number),
        },
    )
    detail = Any()
    detail.Pack(info)
    return Status(
        code=Code.Value(CATALOGUE[type(error)].grpc), message=error.message, details=[detail]
    )


def decode_error(status: Status) -> FlowError | None:
    """Wire to contract; None where the status did not come from a catalogue error."""
    for detail in status.details:
        info = ErrorInfo()
        if detail.Unpack(info) and info.domain == DOMAIN and info.reason in BY_CODE:
            return BY_CODE[info.reason](
                status.message,
                kind=_decode_kind(info.metadata["kind"]),
                subject_id=info.metadata["subject_id"],
                field=info.metadata["field"],
            )
    return None


def error_in(trailing: Iterable[tuple[str, str | bytes]]) -> FlowError | None:
    """Return the catalogue error that a call's trailing metadata hold; None if they hold none."""
    for key, value in trailing:
        if key == _DETAILS and isinstance(value, bytes):
            try:
                return decode_error(Status.FromString(value))
            except DecodeError:
                return None
    return None


def _decode_kind(text: str) -> Kind:
    """Return the kind; one that a newer peer invented reads as a matter of the request."""
    try:
        return Kind(text)
    except ValueError:
        return Kind.REQUEST
