from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class EnrolRequest(_message.Message):
    __slots__ = ("token_id", "secret", "certificate_request_pem")
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_REQUEST_PEM_FIELD_NUMBER: _ClassVar[int]
    token_id: str
    secret: str
    certificate_request_pem: bytes
    def __init__(self, token_id: _Optional[str] = ..., secret: _Optional[str] = ..., certificate_request_pem: _Optional[bytes] = ...) -> None: ...

class EnrolResponse(_message.Message):
    __slots__ = ("federated_id", "certificate_chain_pem", "ca_pem", "agents_address")
    FEDERATED_ID_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_CHAIN_PEM_FIELD_NUMBER: _ClassVar[int]
    CA_PEM_FIELD_NUMBER: _ClassVar[int]
    AGENTS_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    federated_id: str
    certificate_chain_pem: bytes
    ca_pem: bytes
    agents_address: str
    def __init__(self, federated_id: _Optional[str] = ..., certificate_chain_pem: _Optional[bytes] = ..., ca_pem: _Optional[bytes] = ..., agents_address: _Optional[str] = ...) -> None: ...
