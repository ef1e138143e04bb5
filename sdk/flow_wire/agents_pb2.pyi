import datetime

from flow_wire import parties_pb2 as _parties_pb2
from flow_wire import runs_pb2 as _runs_pb2
from flow_wire import templates_pb2 as _templates_pb2
from flow_wire import tunnels_pb2 as _tunnels_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AgentMessage(_message.Message):
    __slots__ = ("hello", "reports", "heartbeat", "draining")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    REPORTS_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    reports: Reports
    heartbeat: Heartbeat
    draining: Draining
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., reports: _Optional[_Union[Reports, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ..., draining: _Optional[_Union[Draining, _Mapping]] = ...) -> None: ...

class ServerMessage(_message.Message):
    __slots__ = ("welcome", "assignments", "acknowledgement", "pace", "tunnel_offer")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    ASSIGNMENTS_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGEMENT_FIELD_NUMBER: _ClassVar[int]
    PACE_FIELD_NUMBER: _ClassVar[int]
    TUNNEL_OFFER_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    assignments: Assignments
    acknowledgement: Acknowledgement
    pace: Pace
    tunnel_offer: _tunnels_pb2.TunnelOffer
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., assignments: _Optional[_Union[Assignments, _Mapping]] = ..., acknowledgement: _Optional[_Union[Acknowledgement, _Mapping]] = ..., pace: _Optional[_Union[Pace, _Mapping]] = ..., tunnel_offer: _Optional[_Union[_tunnels_pb2.TunnelOffer, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("federated_id", "name", "instance_id", "inventory", "party_run_ids", "draining")
    FEDERATED_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    INVENTORY_FIELD_NUMBER: _ClassVar[int]
    PARTY_RUN_IDS_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    federated_id: str
    name: str
    instance_id: str
    inventory: _parties_pb2.Inventory
    party_run_ids: _containers.RepeatedScalarFieldContainer[str]
    draining: bool
    def __init__(self, federated_id: _Optional[str] = ..., name: _Optional[str] = ..., instance_id: _Optional[str] = ..., inventory: _Optional[_Union[_parties_pb2.Inventory, _Mapping]] = ..., party_run_ids: _Optional[_Iterable[str]] = ..., draining: _Optional[bool] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Draining(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("epoch", "heartbeat_s", "reconnect_spread_ms", "lost_after_ms", "return_grace_ms")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_S_FIELD_NUMBER: _ClassVar[int]
    RECONNECT_SPREAD_MS_FIELD_NUMBER: _ClassVar[int]
    LOST_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    RETURN_GRACE_MS_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    heartbeat_s: int
    reconnect_spread_ms: int
    lost_after_ms: int
    return_grace_ms: int
    def __init__(self, epoch: _Optional[int] = ..., heartbeat_s: _Optional[int] = ..., reconnect_spread_ms: _Optional[int] = ..., lost_after_ms: _Optional[int] = ..., return_grace_ms: _Optional[int] = ...) -> None: ...

class Pace(_message.Message):
    __slots__ = ("reconnect_spread_ms",)
    RECONNECT_SPREAD_MS_FIELD_NUMBER: _ClassVar[int]
    reconnect_spread_ms: int
    def __init__(self, reconnect_spread_ms: _Optional[int] = ...) -> None: ...

class WorkloadSpec(_message.Message):
    __slots__ = ("party_run_id", "run_id", "task_id", "order", "federated_id", "rank", "parties", "image_url", "workdir", "command", "env", "epochs", "hyper_parameter", "enable_smpc", "resources", "federated_data", "mounts", "user", "network", "stop_grace_s", "run_timeout_s", "on_disconnect", "requested_by", "template_id", "template_name", "role", "peers", "coordinator_ports", "mesh", "connect_timeout_s", "framework")
    class EnvEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PARTY_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    FEDERATED_ID_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    PARTIES_FIELD_NUMBER: _ClassVar[int]
    IMAGE_URL_FIELD_NUMBER: _ClassVar[int]
    WORKDIR_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    ENV_FIELD_NUMBER: _ClassVar[int]
    EPOCHS_FIELD_NUMBER: _ClassVar[int]
    HYPER_PARAMETER_FIELD_NUMBER: _ClassVar[int]
    ENABLE_SMPC_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    FEDERATED_DATA_FIELD_NUMBER: _ClassVar[int]
    MOUNTS_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    STOP_GRACE_S_FIELD_NUMBER: _ClassVar[int]
    RUN_TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    ON_DISCONNECT_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_ID_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_NAME_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    PEERS_FIELD_NUMBER: _ClassVar[int]
    COORDINATOR_PORTS_FIELD_NUMBER: _ClassVar[int]
    MESH_FIELD_NUMBER: _ClassVar[int]
    CONNECT_TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    FRAMEWORK_FIELD_NUMBER: _ClassVar[int]
    party_run_id: str
    run_id: str
    task_id: str
    order: int
    federated_id: str
    rank: int
    parties: _containers.RepeatedScalarFieldContainer[str]
    image_url: str
    workdir: str
    command: _containers.RepeatedScalarFieldContainer[str]
    env: _containers.ScalarMap[str, str]
    epochs: int
    hyper_parameter: _containers.RepeatedScalarFieldContainer[str]
    enable_smpc: bool
    resources: _templates_pb2.Resources
    federated_data: str
    mounts: _containers.RepeatedCompositeFieldContainer[_templates_pb2.Mount]
    user: str
    network: _templates_pb2.Network
    stop_grace_s: int
    run_timeout_s: int
    on_disconnect: _templates_pb2.OnDisconnect
    requested_by: str
    template_id: str
    template_name: str
    role: _templates_pb2.RunRole
    peers: _containers.RepeatedCompositeFieldContainer[Peer]
    coordinator_ports: _containers.RepeatedScalarFieldContainer[int]
    mesh: _containers.RepeatedCompositeFieldContainer[_templates_pb2.PortRange]
    connect_timeout_s: int
    framework: _templates_pb2.Framework
    def __init__(self, party_run_id: _Optional[str] = ..., run_id: _Optional[str] = ..., task_id: _Optional[str] = ..., order: _Optional[int] = ..., federated_id: _Optional[str] = ..., rank: _Optional[int] = ..., parties: _Optional[_Iterable[str]] = ..., image_url: _Optional[str] = ..., workdir: _Optional[str] = ..., command: _Optional[_Iterable[str]] = ..., env: _Optional[_Mapping[str, str]] = ..., epochs: _Optional[int] = ..., hyper_parameter: _Optional[_Iterable[str]] = ..., enable_smpc: _Optional[bool] = ..., resources: _Optional[_Union[_templates_pb2.Resources, _Mapping]] = ..., federated_data: _Optional[str] = ..., mounts: _Optional[_Iterable[_Union[_templates_pb2.Mount, _Mapping]]] = ..., user: _Optional[str] = ..., network: _Optional[_Union[_templates_pb2.Network, str]] = ..., stop_grace_s: _Optional[int] = ..., run_timeout_s: _Optional[int] = ..., on_disconnect: _Optional[_Union[_templates_pb2.OnDisconnect, _Mapping]] = ..., requested_by: _Optional[str] = ..., template_id: _Optional[str] = ..., template_name: _Optional[str] = ..., role: _Optional[_Union[_templates_pb2.RunRole, str]] = ..., peers: _Optional[_Iterable[_Union[Peer, _Mapping]]] = ..., coordinator_ports: _Optional[_Iterable[int]] = ..., mesh: _Optional[_Iterable[_Union[_templates_pb2.PortRange, _Mapping]]] = ..., connect_timeout_s: _Optional[int] = ..., framework: _Optional[_Union[_templates_pb2.Framework, str]] = ...) -> None: ...

class Peer(_message.Message):
    __slots__ = ("name", "federated_id", "party_run_id", "rank", "role")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FEDERATED_ID_FIELD_NUMBER: _ClassVar[int]
    PARTY_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    name: str
    federated_id: str
    party_run_id: str
    rank: int
    role: _templates_pb2.RunRole
    def __init__(self, name: _Optional[str] = ..., federated_id: _Optional[str] = ..., party_run_id: _Optional[str] = ..., rank: _Optional[int] = ..., role: _Optional[_Union[_templates_pb2.RunRole, str]] = ...) -> None: ...

class Assignment(_message.Message):
    __slots__ = ("spec", "desired", "cause", "traceparent")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    DESIRED_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    spec: WorkloadSpec
    desired: _runs_pb2.Desired
    cause: str
    traceparent: str
    def __init__(self, spec: _Optional[_Union[WorkloadSpec, _Mapping]] = ..., desired: _Optional[_Union[_runs_pb2.Desired, str]] = ..., cause: _Optional[str] = ..., traceparent: _Optional[str] = ...) -> None: ...

class Assignments(_message.Message):
    __slots__ = ("assignments", "complete", "more_follow")
    ASSIGNMENTS_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    MORE_FOLLOW_FIELD_NUMBER: _ClassVar[int]
    assignments: _containers.RepeatedCompositeFieldContainer[Assignment]
    complete: bool
    more_follow: bool
    def __init__(self, assignments: _Optional[_Iterable[_Union[Assignment, _Mapping]]] = ..., complete: _Optional[bool] = ..., more_follow: _Optional[bool] = ...) -> None: ...

class Report(_message.Message):
    __slots__ = ("party_run_id", "sequence", "state", "reason", "message", "exit_code", "gpu_ids", "image_digest", "observed_at", "started_at", "finished_at", "current_epoch", "total_epoch", "note", "traffic", "peer_progress")
    PARTY_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    GPU_IDS_FIELD_NUMBER: _ClassVar[int]
    IMAGE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_AT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_FIELD_NUMBER: _ClassVar[int]
    CURRENT_EPOCH_FIELD_NUMBER: _ClassVar[int]
    TOTAL_EPOCH_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    TRAFFIC_FIELD_NUMBER: _ClassVar[int]
    PEER_PROGRESS_FIELD_NUMBER: _ClassVar[int]
    party_run_id: str
    sequence: int
    state: _runs_pb2.PartyRunState
    reason: str
    message: str
    exit_code: int
    gpu_ids: _containers.RepeatedScalarFieldContainer[str]
    image_digest: str
    observed_at: _timestamp_pb2.Timestamp
    started_at: _timestamp_pb2.Timestamp
    finished_at: _timestamp_pb2.Timestamp
    current_epoch: int
    total_epoch: int
    note: str
    traffic: _containers.RepeatedCompositeFieldContainer[_runs_pb2.Traffic]
    peer_progress: _containers.RepeatedCompositeFieldContainer[_runs_pb2.PeerProgress]
    def __init__(self, party_run_id: _Optional[str] = ..., sequence: _Optional[int] = ..., state: _Optional[_Union[_runs_pb2.PartyRunState, str]] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., exit_code: _Optional[int] = ..., gpu_ids: _Optional[_Iterable[str]] = ..., image_digest: _Optional[str] = ..., observed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., finished_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., current_epoch: _Optional[int] = ..., total_epoch: _Optional[int] = ..., note: _Optional[str] = ..., traffic: _Optional[_Iterable[_Union[_runs_pb2.Traffic, _Mapping]]] = ..., peer_progress: _Optional[_Iterable[_Union[_runs_pb2.PeerProgress, _Mapping]]] = ...) -> None: ...

class Reports(_message.Message):
    __slots__ = ("reports",)
    REPORTS_FIELD_NUMBER: _ClassVar[int]
    reports: _containers.RepeatedCompositeFieldContainer[Report]
    def __init__(self, reports: _Optional[_Iterable[_Union[Report, _Mapping]]] = ...) -> None: ...

class ReportKey(_message.Message):
    __slots__ = ("party_run_id", "sequence")
    PARTY_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    party_run_id: str
    sequence: int
    def __init__(self, party_run_id: _Optional[str] = ..., sequence: _Optional[int] = ...) -> None: ...

class Acknowledgement(_message.Message):
    __slots__ = ("reports",)
    REPORTS_FIELD_NUMBER: _ClassVar[int]
    reports: _containers.RepeatedCompositeFieldContainer[ReportKey]
    def __init__(self, reports: _Optional[_Iterable[_Union[ReportKey, _Mapping]]] = ...) -> None: ...

class RenewRequest(_message.Message):
    __slots__ = ("certificate_request_pem",)
    CERTIFICATE_REQUEST_PEM_FIELD_NUMBER: _ClassVar[int]
    certificate_request_pem: bytes
    def __init__(self, certificate_request_pem: _Optional[bytes] = ...) -> None: ...

class RenewResponse(_message.Message):
    __slots__ = ("certificate_chain_pem", "ca_pem")
    CERTIFICATE_CHAIN_PEM_FIELD_NUMBER: _ClassVar[int]
    CA_PEM_FIELD_NUMBER: _ClassVar[int]
    certificate_chain_pem: bytes
    ca_pem: bytes
    def __init__(self, certificate_chain_pem: _Optional[bytes] = ..., ca_pem: _Optional[bytes] = ...) -> None: ...
