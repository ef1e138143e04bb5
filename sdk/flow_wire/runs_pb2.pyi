import datetime

from flow_wire import templates_pb2 as _templates_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RunStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RUN_STATUS_UNSPECIFIED: _ClassVar[RunStatus]
    RUN_STATUS_STARTED: _ClassVar[RunStatus]
    RUN_STATUS_PENDING: _ClassVar[RunStatus]
    RUN_STATUS_RUNNING: _ClassVar[RunStatus]
    RUN_STATUS_SUCCEEDED: _ClassVar[RunStatus]
    RUN_STATUS_FAILED: _ClassVar[RunStatus]
    RUN_STATUS_UNKNOWN: _ClassVar[RunStatus]
    RUN_STATUS_CANCELLED: _ClassVar[RunStatus]

class PartyRunState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PARTY_RUN_STATE_UNSPECIFIED: _ClassVar[PartyRunState]
    PARTY_RUN_STATE_PENDING: _ClassVar[PartyRunState]
    PARTY_RUN_STATE_PREPARING: _ClassVar[PartyRunState]
    PARTY_RUN_STATE_PREPARED: _ClassVar[PartyRunState]
    PARTY_RUN_STATE_LAUNCHING: _ClassVar[PartyRunState]
    PARTY_RUN_STATE_RUNNING: _ClassVar[PartyRunState]
    PARTY_RUN_STATE_SUCCEEDED: _ClassVar[PartyRunState]
    PARTY_RUN_STATE_FAILED: _ClassVar[PartyRunState]
    PARTY_RUN_STATE_STOPPED: _ClassVar[PartyRunState]
    PARTY_RUN_STATE_REFUSED: _ClassVar[PartyRunState]
    PARTY_RUN_STATE_LOST: _ClassVar[PartyRunState]

class Desired(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DESIRED_UNSPECIFIED: _ClassVar[Desired]
    DESIRED_PREPARED: _ClassVar[Desired]
    DESIRED_RUNNING: _ClassVar[Desired]
    DESIRED_STOPPED: _ClassVar[Desired]
RUN_STATUS_UNSPECIFIED: RunStatus
RUN_STATUS_STARTED: RunStatus
RUN_STATUS_PENDING: RunStatus
RUN_STATUS_RUNNING: RunStatus
RUN_STATUS_SUCCEEDED: RunStatus
RUN_STATUS_FAILED: RunStatus
RUN_STATUS_UNKNOWN: RunStatus
RUN_STATUS_CANCELLED: RunStatus
PARTY_RUN_STATE_UNSPECIFIED: PartyRunState
PARTY_RUN_STATE_PENDING: PartyRunState
PARTY_RUN_STATE_PREPARING: PartyRunState
PARTY_RUN_STATE_PREPARED: PartyRunState
PARTY_RUN_STATE_LAUNCHING: PartyRunState
PARTY_RUN_STATE_RUNNING: PartyRunState
PARTY_RUN_STATE_SUCCEEDED: PartyRunState
PARTY_RUN_STATE_FAILED: PartyRunState
PARTY_RUN_STATE_STOPPED: PartyRunState
PARTY_RUN_STATE_REFUSED: PartyRunState
PARTY_RUN_STATE_LOST: PartyRunState
DESIRED_UNSPECIFIED: Desired
DESIRED_PREPARED: Desired
DESIRED_RUNNING: Desired
DESIRED_STOPPED: Desired

class Traffic(_message.Message):
    __slots__ = ("peer", "sent_bytes", "received_bytes", "connections")
    PEER_FIELD_NUMBER: _ClassVar[int]
    SENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_BYTES_FIELD_NUMBER: _ClassVar[int]
    CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    peer: str
    sent_bytes: int
    received_bytes: int
    connections: int
    def __init__(self, peer: _Optional[str] = ..., sent_bytes: _Optional[int] = ..., received_bytes: _Optional[int] = ..., connections: _Optional[int] = ...) -> None: ...

class PeerProgress(_message.Message):
    __slots__ = ("federated_id", "ready", "complete", "current_epoch", "total_epoch")
    FEDERATED_ID_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    CURRENT_EPOCH_FIELD_NUMBER: _ClassVar[int]
    TOTAL_EPOCH_FIELD_NUMBER: _ClassVar[int]
    federated_id: str
    ready: bool
    complete: bool
    current_epoch: int
    total_epoch: int
    def __init__(self, federated_id: _Optional[str] = ..., ready: _Optional[bool] = ..., complete: _Optional[bool] = ..., current_epoch: _Optional[int] = ..., total_epoch: _Optional[int] = ...) -> None: ...

class PartyRun(_message.Message):
    __slots__ = ("party_run_id", "run_id", "federated_id", "rank", "federated_data", "desired", "state", "reason", "message", "exit_code", "gpu_ids", "image_digest", "started_at", "finished_at", "current_epoch", "total_epoch", "note", "role", "traffic", "peer_progress")
    PARTY_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    FEDERATED_ID_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    FEDERATED_DATA_FIELD_NUMBER: _ClassVar[int]
    DESIRED_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    GPU_IDS_FIELD_NUMBER: _ClassVar[int]
    IMAGE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_FIELD_NUMBER: _ClassVar[int]
    CURRENT_EPOCH_FIELD_NUMBER: _ClassVar[int]
    TOTAL_EPOCH_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    TRAFFIC_FIELD_NUMBER: _ClassVar[int]
    PEER_PROGRESS_FIELD_NUMBER: _ClassVar[int]
    party_run_id: str
    run_id: str
    federated_id: str
    rank: int
    federated_data: str
    desired: Desired
    state: PartyRunState
    reason: str
    message: str
    exit_code: int
    gpu_ids: _containers.RepeatedScalarFieldContainer[str]
    image_digest: str
    started_at: _timestamp_pb2.Timestamp
    finished_at: _timestamp_pb2.Timestamp
    current_epoch: int
    total_epoch: int
    note: str
    role: _templates_pb2.RunRole
    traffic: _containers.RepeatedCompositeFieldContainer[Traffic]
    peer_progress: _containers.RepeatedCompositeFieldContainer[PeerProgress]
    def __init__(self, party_run_id: _Optional[str] = ..., run_id: _Optional[str] = ..., federated_id: _Optional[str] = ..., rank: _Optional[int] = ..., federated_data: _Optional[str] = ..., desired: _Optional[_Union[Desired, str]] = ..., state: _Optional[_Union[PartyRunState, str]] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., exit_code: _Optional[int] = ..., gpu_ids: _Optional[_Iterable[str]] = ..., image_digest: _Optional[str] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., finished_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., current_epoch: _Optional[int] = ..., total_epoch: _Optional[int] = ..., note: _Optional[str] = ..., role: _Optional[_Union[_templates_pb2.RunRole, str]] = ..., traffic: _Optional[_Iterable[_Union[Traffic, _Mapping]]] = ..., peer_progress: _Optional[_Iterable[_Union[PeerProgress, _Mapping]]] = ...) -> None: ...

class Snapshot(_message.Message):
    __slots__ = ("template_id", "template", "epochs", "hyper_parameter", "enable_smpc")
    TEMPLATE_ID_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    EPOCHS_FIELD_NUMBER: _ClassVar[int]
    HYPER_PARAMETER_FIELD_NUMBER: _ClassVar[int]
    ENABLE_SMPC_FIELD_NUMBER: _ClassVar[int]
    template_id: str
    template: _templates_pb2.TemplateSpec
    epochs: int
    hyper_parameter: _containers.RepeatedScalarFieldContainer[str]
    enable_smpc: bool
    def __init__(self, template_id: _Optional[str] = ..., template: _Optional[_Union[_templates_pb2.TemplateSpec, _Mapping]] = ..., epochs: _Optional[int] = ..., hyper_parameter: _Optional[_Iterable[str]] = ..., enable_smpc: _Optional[bool] = ...) -> None: ...

class Run(_message.Message):
    __slots__ = ("run_id", "task_id", "number", "status", "message", "snapshot", "party_runs", "created_at", "ended_at", "retry_of", "retry_at", "requested_by")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    PARTY_RUNS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    RETRY_OF_FIELD_NUMBER: _ClassVar[int]
    RETRY_AT_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    task_id: str
    number: int
    status: RunStatus
    message: str
    snapshot: Snapshot
    party_runs: _containers.RepeatedCompositeFieldContainer[PartyRun]
    created_at: _timestamp_pb2.Timestamp
    ended_at: _timestamp_pb2.Timestamp
    retry_of: str
    retry_at: _timestamp_pb2.Timestamp
    requested_by: str
    def __init__(self, run_id: _Optional[str] = ..., task_id: _Optional[str] = ..., number: _Optional[int] = ..., status: _Optional[_Union[RunStatus, str]] = ..., message: _Optional[str] = ..., snapshot: _Optional[_Union[Snapshot, _Mapping]] = ..., party_runs: _Optional[_Iterable[_Union[PartyRun, _Mapping]]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ended_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., retry_of: _Optional[str] = ..., retry_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., requested_by: _Optional[str] = ...) -> None: ...

class GetRunRequest(_message.Message):
    __slots__ = ("run_id",)
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    def __init__(self, run_id: _Optional[str] = ...) -> None: ...

class GetRunResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: Run
    def __init__(self, run: _Optional[_Union[Run, _Mapping]] = ...) -> None: ...

class ListRunsRequest(_message.Message):
    __slots__ = ("task_id", "page", "limit")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    page: int
    limit: int
    def __init__(self, task_id: _Optional[str] = ..., page: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class ListRunsResponse(_message.Message):
    __slots__ = ("runs", "run_count")
    RUNS_FIELD_NUMBER: _ClassVar[int]
    RUN_COUNT_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedCompositeFieldContainer[Run]
    run_count: int
    def __init__(self, runs: _Optional[_Iterable[_Union[Run, _Mapping]]] = ..., run_count: _Optional[int] = ...) -> None: ...
