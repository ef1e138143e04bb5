import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EventKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_KIND_UNSPECIFIED: _ClassVar[EventKind]
    EVENT_KIND_TASK: _ClassVar[EventKind]
    EVENT_KIND_RUN: _ClassVar[EventKind]
    EVENT_KIND_PARTY_RUN: _ClassVar[EventKind]
    EVENT_KIND_PARTY: _ClassVar[EventKind]
EVENT_KIND_UNSPECIFIED: EventKind
EVENT_KIND_TASK: EventKind
EVENT_KIND_RUN: EventKind
EVENT_KIND_PARTY_RUN: EventKind
EVENT_KIND_PARTY: EventKind

class WatchEventsRequest(_message.Message):
    __slots__ = ("token", "from_beginning", "since_run_id", "task_ids", "run_id", "federated_ids", "kinds")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    FROM_BEGINNING_FIELD_NUMBER: _ClassVar[int]
    SINCE_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_IDS_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    FEDERATED_IDS_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    token: str
    from_beginning: bool
    since_run_id: str
    task_ids: _containers.RepeatedScalarFieldContainer[str]
    run_id: str
    federated_ids: _containers.RepeatedScalarFieldContainer[str]
    kinds: _containers.RepeatedScalarFieldContainer[EventKind]
    def __init__(self, token: _Optional[str] = ..., from_beginning: _Optional[bool] = ..., since_run_id: _Optional[str] = ..., task_ids: _Optional[_Iterable[str]] = ..., run_id: _Optional[str] = ..., federated_ids: _Optional[_Iterable[str]] = ..., kinds: _Optional[_Iterable[_Union[EventKind, str]]] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("token", "event_id", "kind", "side", "from_value", "to_value", "reason", "at", "task_id", "run_id", "party_run_id", "federated_id")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    FROM_VALUE_FIELD_NUMBER: _ClassVar[int]
    TO_VALUE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    PARTY_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    FEDERATED_ID_FIELD_NUMBER: _ClassVar[int]
    token: str
    event_id: int
    kind: EventKind
    side: str
    from_value: str
    to_value: str
    reason: str
    at: _timestamp_pb2.Timestamp
    task_id: str
    run_id: str
    party_run_id: str
    federated_id: str
    def __init__(self, token: _Optional[str] = ..., event_id: _Optional[int] = ..., kind: _Optional[_Union[EventKind, str]] = ..., side: _Optional[str] = ..., from_value: _Optional[str] = ..., to_value: _Optional[str] = ..., reason: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., task_id: _Optional[str] = ..., run_id: _Optional[str] = ..., party_run_id: _Optional[str] = ..., federated_id: _Optional[str] = ...) -> None: ...

class WatchEventsResponse(_message.Message):
    __slots__ = ("events", "token")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[Event]
    token: str
    def __init__(self, events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ..., token: _Optional[str] = ...) -> None: ...
