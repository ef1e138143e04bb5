import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LogState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOG_STATE_UNSPECIFIED: _ClassVar[LogState]
    LOG_STATE_OPEN: _ClassVar[LogState]
    LOG_STATE_FULL: _ClassVar[LogState]
    LOG_STATE_GONE: _ClassVar[LogState]
    LOG_STATE_CLOSED: _ClassVar[LogState]
LOG_STATE_UNSPECIFIED: LogState
LOG_STATE_OPEN: LogState
LOG_STATE_FULL: LogState
LOG_STATE_GONE: LogState
LOG_STATE_CLOSED: LogState

class PushLogsRequest(_message.Message):
    __slots__ = ("hello", "chunk", "closed")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    hello: LogHello
    chunk: LogChunk
    closed: LogClosed
    def __init__(self, hello: _Optional[_Union[LogHello, _Mapping]] = ..., chunk: _Optional[_Union[LogChunk, _Mapping]] = ..., closed: _Optional[_Union[LogClosed, _Mapping]] = ...) -> None: ...

class LogHello(_message.Message):
    __slots__ = ("federated_id", "party_run_ids")
    FEDERATED_ID_FIELD_NUMBER: _ClassVar[int]
    PARTY_RUN_IDS_FIELD_NUMBER: _ClassVar[int]
    federated_id: str
    party_run_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, federated_id: _Optional[str] = ..., party_run_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class LogChunk(_message.Message):
    __slots__ = ("party_run_id", "start", "raw_bytes", "first_at", "last_at", "lines", "data")
    PARTY_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    RAW_BYTES_FIELD_NUMBER: _ClassVar[int]
    FIRST_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_AT_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    party_run_id: str
    start: int
    raw_bytes: int
    first_at: _timestamp_pb2.Timestamp
    last_at: _timestamp_pb2.Timestamp
    lines: int
    data: bytes
    def __init__(self, party_run_id: _Optional[str] = ..., start: _Optional[int] = ..., raw_bytes: _Optional[int] = ..., first_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., lines: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class LogClosed(_message.Message):
    __slots__ = ("party_run_id", "end", "withheld")
    PARTY_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    WITHHELD_FIELD_NUMBER: _ClassVar[int]
    party_run_id: str
    end: int
    withheld: bool
    def __init__(self, party_run_id: _Optional[str] = ..., end: _Optional[int] = ..., withheld: _Optional[bool] = ...) -> None: ...

class LogEnd(_message.Message):
    __slots__ = ("party_run_id", "end", "state")
    PARTY_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    party_run_id: str
    end: int
    state: LogState
    def __init__(self, party_run_id: _Optional[str] = ..., end: _Optional[int] = ..., state: _Optional[_Union[LogState, str]] = ...) -> None: ...

class PushLogsResponse(_message.Message):
    __slots__ = ("ends",)
    ENDS_FIELD_NUMBER: _ClassVar[int]
    ends: _containers.RepeatedCompositeFieldContainer[LogEnd]
    def __init__(self, ends: _Optional[_Iterable[_Union[LogEnd, _Mapping]]] = ...) -> None: ...

class ReadLogsRequest(_message.Message):
    __slots__ = ("task_id", "run_id", "parties", "follow", "since", "tail", "positions")
    class PositionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    PARTIES_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    TAIL_FIELD_NUMBER: _ClassVar[int]
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    run_id: str
    parties: _containers.RepeatedScalarFieldContainer[str]
    follow: bool
    since: _timestamp_pb2.Timestamp
    tail: int
    positions: _containers.ScalarMap[str, int]
    def __init__(self, task_id: _Optional[str] = ..., run_id: _Optional[str] = ..., parties: _Optional[_Iterable[str]] = ..., follow: _Optional[bool] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., tail: _Optional[int] = ..., positions: _Optional[_Mapping[str, int]] = ...) -> None: ...

class PartyLog(_message.Message):
    __slots__ = ("party_run_id", "federated_id", "rank", "start", "end", "complete", "withheld")
    PARTY_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    FEDERATED_ID_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    WITHHELD_FIELD_NUMBER: _ClassVar[int]
    party_run_id: str
    federated_id: str
    rank: int
    start: int
    end: int
    complete: bool
    withheld: bool
    def __init__(self, party_run_id: _Optional[str] = ..., federated_id: _Optional[str] = ..., rank: _Optional[int] = ..., start: _Optional[int] = ..., end: _Optional[int] = ..., complete: _Optional[bool] = ..., withheld: _Optional[bool] = ...) -> None: ...

class LogHead(_message.Message):
    __slots__ = ("run_id", "parties")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    PARTIES_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    parties: _containers.RepeatedCompositeFieldContainer[PartyLog]
    def __init__(self, run_id: _Optional[str] = ..., parties: _Optional[_Iterable[_Union[PartyLog, _Mapping]]] = ...) -> None: ...

class CaughtUp(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ReadLogsResponse(_message.Message):
    __slots__ = ("head", "chunk", "caught_up")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    CAUGHT_UP_FIELD_NUMBER: _ClassVar[int]
    head: LogHead
    chunk: LogChunk
    caught_up: CaughtUp
    def __init__(self, head: _Optional[_Union[LogHead, _Mapping]] = ..., chunk: _Optional[_Union[LogChunk, _Mapping]] = ..., caught_up: _Optional[_Union[CaughtUp, _Mapping]] = ...) -> None: ...
