import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Inventory(_message.Message):
    __slots__ = ("runtime", "agent_version", "cpus", "memory_bytes", "gpu_ids", "data_names", "coordinates", "direct_address")
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    AGENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    CPUS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    GPU_IDS_FIELD_NUMBER: _ClassVar[int]
    DATA_NAMES_FIELD_NUMBER: _ClassVar[int]
    COORDINATES_FIELD_NUMBER: _ClassVar[int]
    DIRECT_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    runtime: str
    agent_version: str
    cpus: float
    memory_bytes: int
    gpu_ids: _containers.RepeatedScalarFieldContainer[str]
    data_names: _containers.RepeatedScalarFieldContainer[str]
    coordinates: bool
    direct_address: str
    def __init__(self, runtime: _Optional[str] = ..., agent_version: _Optional[str] = ..., cpus: _Optional[float] = ..., memory_bytes: _Optional[int] = ..., gpu_ids: _Optional[_Iterable[str]] = ..., data_names: _Optional[_Iterable[str]] = ..., coordinates: _Optional[bool] = ..., direct_address: _Optional[str] = ...) -> None: ...

class Party(_message.Message):
    __slots__ = ("federated_id", "name", "connected", "inventory", "first_seen_at", "last_seen_at", "draining")
    FEDERATED_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    INVENTORY_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEEN_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_AT_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    federated_id: str
    name: str
    connected: bool
    inventory: Inventory
    first_seen_at: _timestamp_pb2.Timestamp
    last_seen_at: _timestamp_pb2.Timestamp
    draining: bool
    def __init__(self, federated_id: _Optional[str] = ..., name: _Optional[str] = ..., connected: _Optional[bool] = ..., inventory: _Optional[_Union[Inventory, _Mapping]] = ..., first_seen_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_seen_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., draining: _Optional[bool] = ...) -> None: ...

class ListPartiesRequest(_message.Message):
    __slots__ = ("page", "limit")
    PAGE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    page: int
    limit: int
    def __init__(self, page: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class ListPartiesResponse(_message.Message):
    __slots__ = ("parties", "party_count")
    PARTIES_FIELD_NUMBER: _ClassVar[int]
    PARTY_COUNT_FIELD_NUMBER: _ClassVar[int]
    parties: _containers.RepeatedCompositeFieldContainer[Party]
    party_count: int
    def __init__(self, parties: _Optional[_Iterable[_Union[Party, _Mapping]]] = ..., party_count: _Optional[int] = ...) -> None: ...

class GetPartyRequest(_message.Message):
    __slots__ = ("federated_id",)
    FEDERATED_ID_FIELD_NUMBER: _ClassVar[int]
    federated_id: str
    def __init__(self, federated_id: _Optional[str] = ...) -> None: ...

class DrainPartyRequest(_message.Message):
    __slots__ = ("federated_id",)
    FEDERATED_ID_FIELD_NUMBER: _ClassVar[int]
    federated_id: str
    def __init__(self, federated_id: _Optional[str] = ...) -> None: ...

class DrainPartyResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ResumePartyRequest(_message.Message):
    __slots__ = ("federated_id",)
    FEDERATED_ID_FIELD_NUMBER: _ClassVar[int]
    federated_id: str
    def __init__(self, federated_id: _Optional[str] = ...) -> None: ...

class ResumePartyResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetPartyResponse(_message.Message):
    __slots__ = ("party",)
    PARTY_FIELD_NUMBER: _ClassVar[int]
    party: Party
    def __init__(self, party: _Optional[_Union[Party, _Mapping]] = ...) -> None: ...

class AddPartyRequest(_message.Message):
    __slots__ = ("federated_id", "valid_hours")
    FEDERATED_ID_FIELD_NUMBER: _ClassVar[int]
    VALID_HOURS_FIELD_NUMBER: _ClassVar[int]
    federated_id: str
    valid_hours: int
    def __init__(self, federated_id: _Optional[str] = ..., valid_hours: _Optional[int] = ...) -> None: ...

class AddPartyResponse(_message.Message):
    __slots__ = ("enrolment_token", "expires_at")
    ENROLMENT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    enrolment_token: str
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, enrolment_token: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class RevokePartyRequest(_message.Message):
    __slots__ = ("federated_id",)
    FEDERATED_ID_FIELD_NUMBER: _ClassVar[int]
    federated_id: str
    def __init__(self, federated_id: _Optional[str] = ...) -> None: ...

class RevokePartyResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
