import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OutputState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTPUT_STATE_UNSPECIFIED: _ClassVar[OutputState]
    OUTPUT_STATE_OPEN: _ClassVar[OutputState]
    OUTPUT_STATE_STORED: _ClassVar[OutputState]
    OUTPUT_STATE_REFUSED: _ClassVar[OutputState]
    OUTPUT_STATE_BROKEN: _ClassVar[OutputState]
OUTPUT_STATE_UNSPECIFIED: OutputState
OUTPUT_STATE_OPEN: OutputState
OUTPUT_STATE_STORED: OutputState
OUTPUT_STATE_REFUSED: OutputState
OUTPUT_STATE_BROKEN: OutputState

class PushOutputsRequest(_message.Message):
    __slots__ = ("hello", "offer", "piece", "finish", "pack", "closed")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    OFFER_FIELD_NUMBER: _ClassVar[int]
    PIECE_FIELD_NUMBER: _ClassVar[int]
    FINISH_FIELD_NUMBER: _ClassVar[int]
    PACK_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    hello: OutputHello
    offer: OutputOffer
    piece: OutputPiece
    finish: OutputFinish
    pack: OutputPack
    closed: OutputClosed
    def __init__(self, hello: _Optional[_Union[OutputHello, _Mapping]] = ..., offer: _Optional[_Union[OutputOffer, _Mapping]] = ..., piece: _Optional[_Union[OutputPiece, _Mapping]] = ..., finish: _Optional[_Union[OutputFinish, _Mapping]] = ..., pack: _Optional[_Union[OutputPack, _Mapping]] = ..., closed: _Optional[_Union[OutputClosed, _Mapping]] = ...) -> None: ...

class OutputHello(_message.Message):
    __slots__ = ("federated_id", "party_run_id")
    FEDERATED_ID_FIELD_NUMBER: _ClassVar[int]
    PARTY_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    federated_id: str
    party_run_id: str
    def __init__(self, federated_id: _Optional[str] = ..., party_run_id: _Optional[str] = ...) -> None: ...

class OutputFile(_message.Message):
    __slots__ = ("upload_id", "name", "bytes")
    UPLOAD_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    upload_id: str
    name: str
    bytes: int
    def __init__(self, upload_id: _Optional[str] = ..., name: _Optional[str] = ..., bytes: _Optional[int] = ...) -> None: ...

class OutputOffer(_message.Message):
    __slots__ = ("files",)
    FILES_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[OutputFile]
    def __init__(self, files: _Optional[_Iterable[_Union[OutputFile, _Mapping]]] = ...) -> None: ...

class OutputPiece(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

class OutputFinish(_message.Message):
    __slots__ = ("sha256",)
    SHA256_FIELD_NUMBER: _ClassVar[int]
    sha256: bytes
    def __init__(self, sha256: _Optional[bytes] = ...) -> None: ...

class PackedOutput(_message.Message):
    __slots__ = ("file", "sha256", "data")
    FILE_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    file: OutputFile
    sha256: bytes
    data: bytes
    def __init__(self, file: _Optional[_Union[OutputFile, _Mapping]] = ..., sha256: _Optional[bytes] = ..., data: _Optional[bytes] = ...) -> None: ...

class OutputPack(_message.Message):
    __slots__ = ("files",)
    FILES_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[PackedOutput]
    def __init__(self, files: _Optional[_Iterable[_Union[PackedOutput, _Mapping]]] = ...) -> None: ...

class SkippedOutput(_message.Message):
    __slots__ = ("name", "why")
    NAME_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    name: str
    why: str
    def __init__(self, name: _Optional[str] = ..., why: _Optional[str] = ...) -> None: ...

class OutputClosed(_message.Message):
    __slots__ = ("withheld", "skipped", "skipped_count")
    WITHHELD_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_COUNT_FIELD_NUMBER: _ClassVar[int]
    withheld: str
    skipped: _containers.RepeatedCompositeFieldContainer[SkippedOutput]
    skipped_count: int
    def __init__(self, withheld: _Optional[str] = ..., skipped: _Optional[_Iterable[_Union[SkippedOutput, _Mapping]]] = ..., skipped_count: _Optional[int] = ...) -> None: ...

class OutputAnswer(_message.Message):
    __slots__ = ("state", "stored_bytes", "why")
    STATE_FIELD_NUMBER: _ClassVar[int]
    STORED_BYTES_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    state: OutputState
    stored_bytes: int
    why: str
    def __init__(self, state: _Optional[_Union[OutputState, str]] = ..., stored_bytes: _Optional[int] = ..., why: _Optional[str] = ...) -> None: ...

class PushOutputsResponse(_message.Message):
    __slots__ = ("answers",)
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    answers: _containers.RepeatedCompositeFieldContainer[OutputAnswer]
    def __init__(self, answers: _Optional[_Iterable[_Union[OutputAnswer, _Mapping]]] = ...) -> None: ...

class ListOutputsRequest(_message.Message):
    __slots__ = ("task_id", "run_id", "federated_id", "name", "after", "limit")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    FEDERATED_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    run_id: str
    federated_id: str
    name: str
    after: str
    limit: int
    def __init__(self, task_id: _Optional[str] = ..., run_id: _Optional[str] = ..., federated_id: _Optional[str] = ..., name: _Optional[str] = ..., after: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class StoredOutput(_message.Message):
    __slots__ = ("federated_id", "name", "bytes", "sha256", "stored_at")
    FEDERATED_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    STORED_AT_FIELD_NUMBER: _ClassVar[int]
    federated_id: str
    name: str
    bytes: int
    sha256: bytes
    stored_at: _timestamp_pb2.Timestamp
    def __init__(self, federated_id: _Optional[str] = ..., name: _Optional[str] = ..., bytes: _Optional[int] = ..., sha256: _Optional[bytes] = ..., stored_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ComingOutput(_message.Message):
    __slots__ = ("name", "bytes", "stored_bytes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    STORED_BYTES_FIELD_NUMBER: _ClassVar[int]
    name: str
    bytes: int
    stored_bytes: int
    def __init__(self, name: _Optional[str] = ..., bytes: _Optional[int] = ..., stored_bytes: _Optional[int] = ...) -> None: ...

class PartyOutputs(_message.Message):
    __slots__ = ("federated_id", "rank", "complete", "closed", "files", "bytes", "coming")
    FEDERATED_ID_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    COMING_FIELD_NUMBER: _ClassVar[int]
    federated_id: str
    rank: int
    complete: bool
    closed: OutputClosed
    files: int
    bytes: int
    coming: _containers.RepeatedCompositeFieldContainer[ComingOutput]
    def __init__(self, federated_id: _Optional[str] = ..., rank: _Optional[int] = ..., complete: _Optional[bool] = ..., closed: _Optional[_Union[OutputClosed, _Mapping]] = ..., files: _Optional[int] = ..., bytes: _Optional[int] = ..., coming: _Optional[_Iterable[_Union[ComingOutput, _Mapping]]] = ...) -> None: ...

class ListOutputsResponse(_message.Message):
    __slots__ = ("run_id", "parties", "files", "next")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    PARTIES_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    parties: _containers.RepeatedCompositeFieldContainer[PartyOutputs]
    files: _containers.RepeatedCompositeFieldContainer[StoredOutput]
    next: str
    def __init__(self, run_id: _Optional[str] = ..., parties: _Optional[_Iterable[_Union[PartyOutputs, _Mapping]]] = ..., files: _Optional[_Iterable[_Union[StoredOutput, _Mapping]]] = ..., next: _Optional[str] = ...) -> None: ...

class DownloadOutputRequest(_message.Message):
    __slots__ = ("task_id", "run_id", "federated_id", "name", "offset", "sha256")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    FEDERATED_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    run_id: str
    federated_id: str
    name: str
    offset: int
    sha256: bytes
    def __init__(self, task_id: _Optional[str] = ..., run_id: _Optional[str] = ..., federated_id: _Optional[str] = ..., name: _Optional[str] = ..., offset: _Optional[int] = ..., sha256: _Optional[bytes] = ...) -> None: ...

class DownloadOutputResponse(_message.Message):
    __slots__ = ("head", "data")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    head: StoredOutput
    data: bytes
    def __init__(self, head: _Optional[_Union[StoredOutput, _Mapping]] = ..., data: _Optional[bytes] = ...) -> None: ...
