from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TunnelTicket(_message.Message):
    __slots__ = ("tunnel_id", "secret", "relay_address", "direct_address")
    TUNNEL_ID_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    RELAY_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    DIRECT_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    tunnel_id: bytes
    secret: bytes
    relay_address: str
    direct_address: str
    def __init__(self, tunnel_id: _Optional[bytes] = ..., secret: _Optional[bytes] = ..., relay_address: _Optional[str] = ..., direct_address: _Optional[str] = ...) -> None: ...

class OpenTunnelRequest(_message.Message):
    __slots__ = ("party_run_id", "peer_party_run_id", "port")
    PARTY_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    PEER_PARTY_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    party_run_id: str
    peer_party_run_id: str
    port: int
    def __init__(self, party_run_id: _Optional[str] = ..., peer_party_run_id: _Optional[str] = ..., port: _Optional[int] = ...) -> None: ...

class OpenTunnelResponse(_message.Message):
    __slots__ = ("ticket",)
    TICKET_FIELD_NUMBER: _ClassVar[int]
    ticket: TunnelTicket
    def __init__(self, ticket: _Optional[_Union[TunnelTicket, _Mapping]] = ...) -> None: ...

class TunnelOffer(_message.Message):
    __slots__ = ("ticket", "party_run_id", "peer_party_run_id", "peer_federated_id", "port")
    TICKET_FIELD_NUMBER: _ClassVar[int]
    PARTY_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    PEER_PARTY_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    PEER_FEDERATED_ID_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    ticket: TunnelTicket
    party_run_id: str
    peer_party_run_id: str
    peer_federated_id: str
    port: int
    def __init__(self, ticket: _Optional[_Union[TunnelTicket, _Mapping]] = ..., party_run_id: _Optional[str] = ..., peer_party_run_id: _Optional[str] = ..., peer_federated_id: _Optional[str] = ..., port: _Optional[int] = ...) -> None: ...
