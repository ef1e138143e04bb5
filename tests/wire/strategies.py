"""Hypothesis strategies for every contract type that crosses the wire."""

from hypothesis import strategies as st

from flow_contract.access import Right, Role
from flow_contract.assignments import Assignment, Report, WorkloadSpec
from flow_contract.audit import Act, AuditEntry, Outcome
from flow_contract.coordination import Framework, RunRole
from flow_contract.lifecycle import Desired, PartyRunState, RunStatus
from flow_contract.parties import Inventory, Party
from flow_contract.reasons import Reason
from flow_contract.runs import PartyRun, Run, Snapshot
from flow_contract.tasks import PartyData, StartParameters, Task, TaskSpec
from flow_contract.templates import (
    Mount,
    Network,
    OnDisconnect,
    RetryPolicy,
    Template,
    TemplateSpec,
)
from flow_contract.users import ApiToken, User
from tests.wire.basic_strategies import (
    env,
    int32,
    int64,
    maybe,
    number,
    resources,
    text,
    texts,
    times,
)
from tests.wire.coordination_strategies import between, coordinators, meshes, peers, ports

mounts = st.lists(st.builds(Mount, data_name=text, target=text), max_size=3).map(tuple)
on_disconnects = st.builds(OnDisconnect, stop_after_s=maybe(int32))
template_specs = st.builds(
    TemplateSpec,
    name=text,
    image_url=text,
    workdir=text,
    command=texts,
    remark=text,
    hyper_parameter=maybe(texts),
    resources=resources,
    env=env,
    mounts=mounts,
    user=text,
    network=st.sampled_from(Network),
    start_deadline_s=int32,
    prepare_deadline_s=int32,
    stop_grace_s=int32,
    run_timeout_s=maybe(int32),
    on_disconnect=on_disconnects,
    retry=st.builds(RetryPolicy, max_retries=int32, backoff_s=int32, on_nonzero_exit=st.booleans()),
    coordinator=maybe(coordinators),
    mesh=meshes,
    connect_timeout_s=int32,
    framework=st.sampled_from(Framework),
)
templates = st.builds(
    Template,
    template_id=text,
    spec=template_specs,
    create_time=times,
    modify_time=times,
    owner=text,
)

party_runs = st.builds(
    PartyRun,
    party_run_id=text,
    run_id=text,
    federated_id=text,
    rank=int32,
    federated_data=text,
    desired=st.sampled_from(Desired),
    state=st.sampled_from(PartyRunState),
    reason=st.sampled_from(Reason),
    message=text,
    exit_code=maybe(int32),
    gpu_ids=texts,
    image_digest=text,
    started_at=maybe(times),
    finished_at=maybe(times),
    current_epoch=maybe(int32),
    total_epoch=maybe(int32),
    note=text,
    role=st.sampled_from(RunRole),
    **between,
)
party_run_tuples = st.lists(party_runs, max_size=3).map(tuple)
snapshots = st.builds(
    Snapshot,
    template_id=text,
    template=template_specs,
    epochs=int32,
    hyper_parameter=texts,
    enable_smpc=st.booleans(),
)
runs = st.builds(
    Run,
    run_id=text,
    task_id=text,
    number=int32,
    status=st.sampled_from(RunStatus),
    message=text,
    snapshot=snapshots,
    party_runs=party_run_tuples,
    created_at=times,
    ended_at=maybe(times),
    retry_of=maybe(text),
    retry_at=maybe(times),
    requested_by=text,
)

party_data = st.builds(PartyData, federated_id=text, federated_data=text)
task_specs = st.builds(
    TaskSpec,
    name=text,
    template_id=text,
    remark=maybe(text),
    federate_data=st.lists(party_data, max_size=3).map(tuple),
)
_task = {
    "task_id": text,
    "spec": task_specs,
    "run_message": text,
    "create_time": times,
    "modify_time": times,
    "owner": text,
}
never_started_tasks = st.builds(
    Task, **_task, status=st.none(), run_id=st.none(), party_runs=st.none()
)
started_tasks = st.builds(
    Task,
    **_task,
    status=st.sampled_from(RunStatus),
    run_id=maybe(text),
    party_runs=party_run_tuples,
)
tasks = never_started_tasks | started_tasks
starts = st.builds(
    StartParameters, epochs=int32, hyper_parameter=maybe(texts), enable_smpc=st.booleans()
)

inventories = st.builds(
    Inventory,
    runtime=text,
    agent_version=text,
    cpus=number,
    memory_bytes=int64,
    gpu_ids=texts,
    data_names=texts,
    coordinates=st.booleans(),
    direct_address=text,
)
parties = st.builds(
    Party,
    federated_id=text,
    name=text,
    connected=st.booleans(),
    draining=st.booleans(),
    inventory=inventories,
    first_seen_at=times,
    last_seen_at=times,
)

workload_specs = st.builds(
    WorkloadSpec,
    party_run_id=text,
    run_id=text,
    task_id=text,
    order=int64,
    federated_id=text,
    rank=int32,
    parties=texts,
    image_url=text,
    workdir=text,
    command=texts,
    env=env,
    epochs=int32,
    hyper_parameter=texts,
    enable_smpc=st.booleans(),
    resources=resources,
    federated_data=text,
    mounts=mounts,
    user=text,
    network=st.sampled_from(Network),
    stop_grace_s=int32,
    run_timeout_s=maybe(int32),
    on_disconnect=on_disconnects,
    requested_by=text,
    template_id=text,
    template_name=text,
    role=st.sampled_from(RunRole),
    peers=st.lists(peers, max_size=3).map(tuple),
    coordinator_ports=ports,
    mesh=meshes,
    connect_timeout_s=int32,
    framework=st.sampled_from(Framework),
)
assignments = st.builds(
    Assignment,
    spec=workload_specs,
    desired=st.sampled_from(Desired),
    cause=st.sampled_from(Reason),
    traceparent=text,
)
reports = st.builds(
    Report,
    party_run_id=text,
    sequence=int64,
    state=st.sampled_from(PartyRunState),
    reason=st.sampled_from(Reason),
    message=text,
    exit_code=maybe(int32),
    gpu_ids=texts,
    image_digest=text,
    observed_at=times,
    started_at=maybe(times),
    finished_at=maybe(times),
    current_epoch=maybe(int32),
    total_epoch=maybe(int32),
    note=text,
    **between,
)

users = st.builds(
    User, name=text, role=st.sampled_from(Role), is_disabled=st.booleans(), created_at=times
)
scopes = st.frozensets(st.sampled_from(Right))
api_tokens = st.builds(
    ApiToken,
    token_id=text,
    user_name=text,
    label=text,
    scopes=maybe(scopes),
    created_at=times,
    expires_at=times,
    revoked_at=maybe(times),
    last_used_at=maybe(times),
)
acts = st.builds(
    Act,
    at=times,
    actor_kind=text,
    actor=text,
    address=text,
    action=text,
    subject_kind=text,
    subject_id=text,
    outcome=st.sampled_from(Outcome),
    detail=env,
)
audit_entries = st.builds(AuditEntry, sequence=int64, act=acts, previous_hash=text, hash=text)
