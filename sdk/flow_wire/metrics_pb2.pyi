from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MetricPoints(_message.Message):
    __slots__ = ("names", "name", "step", "at_us", "value")
    NAMES_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    AT_US_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    name: _containers.RepeatedScalarFieldContainer[int]
    step: _containers.RepeatedScalarFieldContainer[int]
    at_us: _containers.RepeatedScalarFieldContainer[int]
    value: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, names: _Optional[_Iterable[str]] = ..., name: _Optional[_Iterable[int]] = ..., step: _Optional[_Iterable[int]] = ..., at_us: _Optional[_Iterable[int]] = ..., value: _Optional[_Iterable[float]] = ...) -> None: ...

class MetricBatch(_message.Message):
    __slots__ = ("party_run_id", "first_sequence", "points", "dropped", "withheld")
    PARTY_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    WITHHELD_FIELD_NUMBER: _ClassVar[int]
    party_run_id: str
    first_sequence: int
    points: MetricPoints
    dropped: int
    withheld: str
    def __init__(self, party_run_id: _Optional[str] = ..., first_sequence: _Optional[int] = ..., points: _Optional[_Union[MetricPoints, _Mapping]] = ..., dropped: _Optional[int] = ..., withheld: _Optional[str] = ...) -> None: ...

class PushMetricsRequest(_message.Message):
    __slots__ = ("federated_id", "batch")
    FEDERATED_ID_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    federated_id: str
    batch: MetricBatch
    def __init__(self, federated_id: _Optional[str] = ..., batch: _Optional[_Union[MetricBatch, _Mapping]] = ...) -> None: ...

class PushMetricsResponse(_message.Message):
    __slots__ = ("stored",)
    STORED_FIELD_NUMBER: _ClassVar[int]
    stored: int
    def __init__(self, stored: _Optional[int] = ...) -> None: ...

class ListMetricsRequest(_message.Message):
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

class PartyMetrics(_message.Message):
    __slots__ = ("federated_id", "points", "dropped", "withheld")
    FEDERATED_ID_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    WITHHELD_FIELD_NUMBER: _ClassVar[int]
    federated_id: str
    points: MetricPoints
    dropped: int
    withheld: str
    def __init__(self, federated_id: _Optional[str] = ..., points: _Optional[_Union[MetricPoints, _Mapping]] = ..., dropped: _Optional[int] = ..., withheld: _Optional[str] = ...) -> None: ...

class ListMetricsResponse(_message.Message):
    __slots__ = ("run_id", "parties", "next")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    PARTIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    parties: _containers.RepeatedCompositeFieldContainer[PartyMetrics]
    next: str
    def __init__(self, run_id: _Optional[str] = ..., parties: _Optional[_Iterable[_Union[PartyMetrics, _Mapping]]] = ..., next: _Optional[str] = ...) -> None: ...
