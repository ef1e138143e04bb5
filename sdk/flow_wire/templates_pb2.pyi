import datetime

from flow_wire import common_pb2 as _common_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Network(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NETWORK_UNSPECIFIED: _ClassVar[Network]
    NETWORK_NONE: _ClassVar[Network]
    NETWORK_BRIDGE: _ClassVar[Network]

class RunRole(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RUN_ROLE_UNSPECIFIED: _ClassVar[RunRole]
    RUN_ROLE_PARTY: _ClassVar[RunRole]
    RUN_ROLE_COORDINATOR: _ClassVar[RunRole]

class Ends(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENDS_UNSPECIFIED: _ClassVar[Ends]
    ENDS_AFTER_PARTIES: _ClassVar[Ends]
    ENDS_BY_ITSELF: _ClassVar[Ends]

class Framework(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FRAMEWORK_UNSPECIFIED: _ClassVar[Framework]
    FRAMEWORK_NONE: _ClassVar[Framework]
    FRAMEWORK_IFLEARNER: _ClassVar[Framework]
NETWORK_UNSPECIFIED: Network
NETWORK_NONE: Network
NETWORK_BRIDGE: Network
RUN_ROLE_UNSPECIFIED: RunRole
RUN_ROLE_PARTY: RunRole
RUN_ROLE_COORDINATOR: RunRole
ENDS_UNSPECIFIED: Ends
ENDS_AFTER_PARTIES: Ends
ENDS_BY_ITSELF: Ends
FRAMEWORK_UNSPECIFIED: Framework
FRAMEWORK_NONE: Framework
FRAMEWORK_IFLEARNER: Framework

class GpuRequest(_message.Message):
    __slots__ = ("count", "device_ids", "capabilities")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    DEVICE_IDS_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    count: int
    device_ids: _containers.RepeatedScalarFieldContainer[str]
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, count: _Optional[int] = ..., device_ids: _Optional[_Iterable[str]] = ..., capabilities: _Optional[_Iterable[str]] = ...) -> None: ...

class Resources(_message.Message):
    __slots__ = ("cpus", "memory_bytes", "pids", "shm_bytes", "gpus")
    CPUS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    PIDS_FIELD_NUMBER: _ClassVar[int]
    SHM_BYTES_FIELD_NUMBER: _ClassVar[int]
    GPUS_FIELD_NUMBER: _ClassVar[int]
    cpus: float
    memory_bytes: int
    pids: int
    shm_bytes: int
    gpus: GpuRequest
    def __init__(self, cpus: _Optional[float] = ..., memory_bytes: _Optional[int] = ..., pids: _Optional[int] = ..., shm_bytes: _Optional[int] = ..., gpus: _Optional[_Union[GpuRequest, _Mapping]] = ...) -> None: ...

class Mount(_message.Message):
    __slots__ = ("data_name", "target")
    DATA_NAME_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    data_name: str
    target: str
    def __init__(self, data_name: _Optional[str] = ..., target: _Optional[str] = ...) -> None: ...

class OnDisconnect(_message.Message):
    __slots__ = ("stop_after_s",)
    STOP_AFTER_S_FIELD_NUMBER: _ClassVar[int]
    stop_after_s: int
    def __init__(self, stop_after_s: _Optional[int] = ...) -> None: ...

class RetryPolicy(_message.Message):
    __slots__ = ("max_retries", "backoff_s", "on_nonzero_exit")
    MAX_RETRIES_FIELD_NUMBER: _ClassVar[int]
    BACKOFF_S_FIELD_NUMBER: _ClassVar[int]
    ON_NONZERO_EXIT_FIELD_NUMBER: _ClassVar[int]
    max_retries: int
    backoff_s: int
    on_nonzero_exit: bool
    def __init__(self, max_retries: _Optional[int] = ..., backoff_s: _Optional[int] = ..., on_nonzero_exit: _Optional[bool] = ...) -> None: ...

class PortRange(_message.Message):
    __slots__ = ("first", "last")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    first: int
    last: int
    def __init__(self, first: _Optional[int] = ..., last: _Optional[int] = ...) -> None: ...

class Coordinator(_message.Message):
    __slots__ = ("image_url", "workdir", "command", "env", "resources", "ports", "party", "ends", "decides")
    class EnvEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    IMAGE_URL_FIELD_NUMBER: _ClassVar[int]
    WORKDIR_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    ENV_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    PARTY_FIELD_NUMBER: _ClassVar[int]
    ENDS_FIELD_NUMBER: _ClassVar[int]
    DECIDES_FIELD_NUMBER: _ClassVar[int]
    image_url: str
    workdir: str
    command: _containers.RepeatedScalarFieldContainer[str]
    env: _containers.ScalarMap[str, str]
    resources: Resources
    ports: _containers.RepeatedScalarFieldContainer[int]
    party: str
    ends: Ends
    decides: bool
    def __init__(self, image_url: _Optional[str] = ..., workdir: _Optional[str] = ..., command: _Optional[_Iterable[str]] = ..., env: _Optional[_Mapping[str, str]] = ..., resources: _Optional[_Union[Resources, _Mapping]] = ..., ports: _Optional[_Iterable[int]] = ..., party: _Optional[str] = ..., ends: _Optional[_Union[Ends, str]] = ..., decides: _Optional[bool] = ...) -> None: ...

class TemplateSpec(_message.Message):
    __slots__ = ("name", "image_url", "workdir", "command", "remark", "hyper_parameter", "resources", "env", "mounts", "user", "network", "start_deadline_s", "prepare_deadline_s", "stop_grace_s", "run_timeout_s", "on_disconnect", "retry", "coordinator", "mesh", "connect_timeout_s", "framework")
    class EnvEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    IMAGE_URL_FIELD_NUMBER: _ClassVar[int]
    WORKDIR_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    REMARK_FIELD_NUMBER: _ClassVar[int]
    HYPER_PARAMETER_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    ENV_FIELD_NUMBER: _ClassVar[int]
    MOUNTS_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    START_DEADLINE_S_FIELD_NUMBER: _ClassVar[int]
    PREPARE_DEADLINE_S_FIELD_NUMBER: _ClassVar[int]
    STOP_GRACE_S_FIELD_NUMBER: _ClassVar[int]
    RUN_TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    ON_DISCONNECT_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    COORDINATOR_FIELD_NUMBER: _ClassVar[int]
    MESH_FIELD_NUMBER: _ClassVar[int]
    CONNECT_TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    FRAMEWORK_FIELD_NUMBER: _ClassVar[int]
    name: str
    image_url: str
    workdir: str
    command: _containers.RepeatedScalarFieldContainer[str]
    remark: str
    hyper_parameter: _common_pb2.StringList
    resources: Resources
    env: _containers.ScalarMap[str, str]
    mounts: _containers.RepeatedCompositeFieldContainer[Mount]
    user: str
    network: Network
    start_deadline_s: int
    prepare_deadline_s: int
    stop_grace_s: int
    run_timeout_s: int
    on_disconnect: OnDisconnect
    retry: RetryPolicy
    coordinator: Coordinator
    mesh: _containers.RepeatedCompositeFieldContainer[PortRange]
    connect_timeout_s: int
    framework: Framework
    def __init__(self, name: _Optional[str] = ..., image_url: _Optional[str] = ..., workdir: _Optional[str] = ..., command: _Optional[_Iterable[str]] = ..., remark: _Optional[str] = ..., hyper_parameter: _Optional[_Union[_common_pb2.StringList, _Mapping]] = ..., resources: _Optional[_Union[Resources, _Mapping]] = ..., env: _Optional[_Mapping[str, str]] = ..., mounts: _Optional[_Iterable[_Union[Mount, _Mapping]]] = ..., user: _Optional[str] = ..., network: _Optional[_Union[Network, str]] = ..., start_deadline_s: _Optional[int] = ..., prepare_deadline_s: _Optional[int] = ..., stop_grace_s: _Optional[int] = ..., run_timeout_s: _Optional[int] = ..., on_disconnect: _Optional[_Union[OnDisconnect, _Mapping]] = ..., retry: _Optional[_Union[RetryPolicy, _Mapping]] = ..., coordinator: _Optional[_Union[Coordinator, _Mapping]] = ..., mesh: _Optional[_Iterable[_Union[PortRange, _Mapping]]] = ..., connect_timeout_s: _Optional[int] = ..., framework: _Optional[_Union[Framework, str]] = ...) -> None: ...

class Template(_message.Message):
    __slots__ = ("template_id", "spec", "create_time", "modify_time", "owner")
    TEMPLATE_ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    MODIFY_TIME_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    template_id: str
    spec: TemplateSpec
    create_time: _timestamp_pb2.Timestamp
    modify_time: _timestamp_pb2.Timestamp
    owner: str
    def __init__(self, template_id: _Optional[str] = ..., spec: _Optional[_Union[TemplateSpec, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., modify_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., owner: _Optional[str] = ...) -> None: ...

class CreateTemplateRequest(_message.Message):
    __slots__ = ("spec",)
    SPEC_FIELD_NUMBER: _ClassVar[int]
    spec: TemplateSpec
    def __init__(self, spec: _Optional[_Union[TemplateSpec, _Mapping]] = ...) -> None: ...

class CreateTemplateResponse(_message.Message):
    __slots__ = ("template_id",)
    TEMPLATE_ID_FIELD_NUMBER: _ClassVar[int]
    template_id: str
    def __init__(self, template_id: _Optional[str] = ...) -> None: ...

class UpdateTemplateRequest(_message.Message):
    __slots__ = ("template_id", "spec")
    TEMPLATE_ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    template_id: str
    spec: TemplateSpec
    def __init__(self, template_id: _Optional[str] = ..., spec: _Optional[_Union[TemplateSpec, _Mapping]] = ...) -> None: ...

class UpdateTemplateResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetTemplateRequest(_message.Message):
    __slots__ = ("template_id",)
    TEMPLATE_ID_FIELD_NUMBER: _ClassVar[int]
    template_id: str
    def __init__(self, template_id: _Optional[str] = ...) -> None: ...

class GetTemplateResponse(_message.Message):
    __slots__ = ("template",)
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    template: Template
    def __init__(self, template: _Optional[_Union[Template, _Mapping]] = ...) -> None: ...

class ListTemplatesRequest(_message.Message):
    __slots__ = ("keyword", "page", "limit")
    KEYWORD_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    keyword: str
    page: int
    limit: int
    def __init__(self, keyword: _Optional[str] = ..., page: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class ListTemplatesResponse(_message.Message):
    __slots__ = ("templates", "template_count")
    TEMPLATES_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_COUNT_FIELD_NUMBER: _ClassVar[int]
    templates: _containers.RepeatedCompositeFieldContainer[Template]
    template_count: int
    def __init__(self, templates: _Optional[_Iterable[_Union[Template, _Mapping]]] = ..., template_count: _Optional[int] = ...) -> None: ...

class DeleteTemplateRequest(_message.Message):
    __slots__ = ("template_id",)
    TEMPLATE_ID_FIELD_NUMBER: _ClassVar[int]
    template_id: str
    def __init__(self, template_id: _Optional[str] = ...) -> None: ...

class DeleteTemplateResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
