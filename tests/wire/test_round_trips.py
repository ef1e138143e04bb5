"""What is encoded and decoded again is what it was, also through bytes."""

import inspect
from dataclasses import fields, replace
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flow_contract.coordination import RunRole
from flow_contract.reasons import Reason
from flow_contract.tasks import StartParameters
from flow_contract.templates import GpuRequest, Network, Resources, TemplateSpec
from flow_wire import agents_pb2, runs_pb2, tasks_pb2, templates_pb2
from flow_wire.codec import (
    assignments,
    audit,
    coordination,
    events,
    logs,
    metrics,
    outputs,
    parties,
    resources,
    runs,
    tasks,
    templates,
    tunnels,
    users,
    webhooks,
)
from tests.wire import (
    basic_strategies,
    coordination_strategies,
    event_strategies,
    output_strategies,
    strategies,
    workload_strategies,
)

_OTHER = {RunRole.PARTY: RunRole.COORDINATOR, RunRole.COORDINATOR: RunRole.PARTY}

PAIRS = {
    "template": (templates, strategies.templates),
    "template_spec": (templates, strategies.template_specs),
    "coordinator": (coordination, coordination_strategies.coordinators),
    "peer": (coordination, coordination_strategies.peers),
    "traffic": (coordination, coordination_strategies.traffics),
    "peer_progress": (coordination, coordination_strategies.peer_progresses),
    "ticket": (tunnels, coordination_strategies.tickets),
    "offer": (tunnels, coordination_strategies.offers),
    "resources": (resources, basic_strategies.resources),
    "on_disconnect": (templates, strategies.on_disconnects),
    "task": (tasks, strategies.tasks),
    "task_spec": (tasks, strategies.task_specs),
    "run": (runs, strategies.runs),
    "party_run": (runs, strategies.party_runs),
    "party": (parties, strategies.parties),
    "inventory": (parties, strategies.inventories),
    "assignment": (assignments, strategies.assignments),
    "workload_spec": (assignments, strategies.workload_specs),
    "report": (assignments, strategies.reports),
    "user": (users, strategies.users),
    "api_token": (users, strategies.api_tokens),
    "scopes": (users, strategies.scopes),
    "act": (audit, strategies.acts),
    "audit_entry": (audit, strategies.audit_entries),
    "event": (events, event_strategies.events),
    "event_request": (events, event_strategies.event_requests),
    "webhook": (webhooks, event_strategies.webhooks),
    "delivery": (webhooks, event_strategies.deliveries),
    "metric_batch": (metrics, workload_strategies.metric_batches),
    "party_metrics": (metrics, workload_strategies.party_metrics),
    "log_chunk": (logs, workload_strategies.log_chunks),
    "log_closed": (logs, workload_strategies.log_closed),
    "log_end": (logs, workload_strategies.log_ends),
    "log_head": (logs, workload_strategies.log_heads),
    "log_request": (logs, workload_strategies.log_requests),
    "output_file": (outputs, output_strategies.files),
    "packed_output": (outputs, output_strategies.packed),
    "output_answer": (outputs, output_strategies.answers),
    "outputs_closed": (outputs, output_strategies.closed),
    "stored_output": (outputs, output_strategies.stored),
    "party_outputs": (outputs, output_strategies.parties),
}
MODULES = (
    *(assignments, audit, coordination, events, logs, metrics, outputs),
    *(parties, resources, runs, tasks, templates, tunnels, users, webhooks),
)
# No message of their own: tested below, or through the messages that hold them.
PARTS = {"start", "mounts", "string_list", "time", "required_time", "reason", "metric_points"}
PARTS |= {"mesh", "framework", "run_role"}

generous = [HealthCheck.too_slow, HealthCheck.data_too_large]
round_trip = settings(max_examples=60, deadline=None, suppress_health_check=generous)
once = settings(max_examples=1, deadline=None, suppress_health_check=generous)


def encoder(room):
    return getattr(PAIRS[room][0], f"encode_{room}")


def decoder(room):
    return getattr(PAIRS[room][0], f"decode_{room}")


def through_bytes(wire):
    return type(wire).FromString(wire.SerializeToString())


@pytest.mark.parametrize("room", PAIRS)
@round_trip
@given(data=st.data())
def test_what_went_over_the_wire_is_what_was_sent(room, data):
    value = data.draw(PAIRS[room][1])
    assert decoder(room)(through_bytes(encoder(room)(value))) == value


# A set in the contract is a message around a list on the wire, and a watch's filter is flat there.
@pytest.mark.parametrize("room", sorted(set(PAIRS) - {"scopes", "event_request"}))
@once
@given(data=st.data())
def test_contract_and_wire_have_the_same_fields(room, data):
    value = data.draw(PAIRS[room][1])
    on_the_wire = {field.name for field in encoder(room)(value).DESCRIPTOR.fields}
    assert {field.name for field in fields(value)} == on_the_wire


def test_every_codec_function_has_its_opposite_and_its_test():
    names = {
        name
        for module in MODULES
        for name, _ in inspect.getmembers(module, inspect.isfunction)
        if name.startswith(("encode_", "decode_"))
    }
    rooms = {name.removeprefix("encode_").removeprefix("decode_") for name in names}
    assert rooms == set(PAIRS) | PARTS
    assert all(f"{way}_{room}" in names for room in PAIRS for way in ("encode", "decode"))


@round_trip
@given(parameters=strategies.starts)
def test_the_parameters_of_a_start_survive(parameters):
    wire = through_bytes(tasks.encode_start("task-1", parameters, "request-1"))
    assert tasks.decode_start(wire) == parameters
    assert (wire.task_id, wire.request_id) == ("task-1", "request-1")


def test_absent_start_parameters_are_the_documented_defaults():
    assert tasks.decode_start(tasks_pb2.StartTaskRequest()) == StartParameters()


@pytest.mark.parametrize("hyper_parameter", [None, ()])
def test_left_out_and_empty_stay_two_things(hyper_parameter):
    spec = TemplateSpec(name="n", image_url="i", hyper_parameter=hyper_parameter)
    wire = through_bytes(templates.encode_template_spec(spec))
    assert templates.decode_template_spec(wire).hyper_parameter == hyper_parameter
    start = StartParameters(hyper_parameter=hyper_parameter)
    wire = through_bytes(tasks.encode_start("t", start, ""))
    assert tasks.decode_start(wire).hyper_parameter == hyper_parameter


def test_an_empty_template_message_reads_as_the_documented_defaults():
    expected = TemplateSpec(name="", image_url="")
    assert templates.decode_template_spec(templates_pb2.TemplateSpec()) == expected
    assert expected.network is Network.NONE
    assert expected.resources == Resources()


def test_gpus_without_capabilities_ask_for_gpu():
    wire = templates_pb2.Resources(gpus=templates_pb2.GpuRequest(count=1))
    assert templates.decode_resources(wire).gpus == GpuRequest(count=1, capabilities=("gpu",))


def test_no_gpu_request_is_not_an_empty_one():
    assert templates.decode_resources(templates_pb2.Resources()).gpus is None


def test_exit_code_0_is_not_no_exit_code():
    wire = agents_pb2.Report(state=runs_pb2.PARTY_RUN_STATE_SUCCEEDED)
    assert assignments.decode_report(wire).exit_code is None
    wire.exit_code = 0
    assert assignments.decode_report(through_bytes(wire)).exit_code == 0


def test_the_first_instant_of_1970_is_a_time_and_not_no_time():
    wire = runs_pb2.PartyRun(
        desired=runs_pb2.DESIRED_PREPARED, state=runs_pb2.PARTY_RUN_STATE_PENDING
    )
    wire.started_at.FromDatetime(datetime(1970, 1, 1, tzinfo=UTC))
    decoded = runs.decode_party_run(through_bytes(wire))
    assert decoded.started_at == datetime(1970, 1, 1, tzinfo=UTC)
    assert decoded.finished_at is None


def test_a_reason_that_a_newer_peer_invented_reads_as_a_runtime_error():
    assert runs.decode_reason("from_the_future") is Reason.RUNTIME_ERROR
    assert runs.decode_reason("") is Reason.NONE


@round_trip
@given(strategies.assignments, strategies.assignments, strategies.assignments)
def test_assignments_of_one_run_are_encoded_together_as_they_are_apart(first, other, third):
    own = {peer.party_run_id: peer for peer in first.spec.peers}
    first = replace(first, spec=replace(first.spec, peers=tuple(own.values())))
    met = [*other.spec.peers, *own.values()]
    coordinator = replace(
        third,
        spec=replace(
            third.spec,
            run_id=first.spec.run_id,
            role=_OTHER[first.spec.role],
            peers=first.spec.peers,
        ),
    )
    of_the_run = replace(
        first,
        desired=other.desired,
        traceparent=other.traceparent,
        spec=replace(
            first.spec,
            party_run_id=other.spec.party_run_id,
            federated_id=other.spec.federated_id,
            federated_data=other.spec.federated_data,
            rank=other.spec.rank,
            # Those that the first has as well are the same there.
            peers=tuple({peer.party_run_id: peer for peer in met}.values()),
        ),
    )
    together = agents_pb2.Assignments()
    encoder = assignments.AssignmentEncoder()
    for item in (first, coordinator, of_the_run):
        encoder.add(item, together)
    apart = [assignments.encode_assignment(item) for item in (first, coordinator, of_the_run)]
    assert list(together.assignments) == apart


def test_an_ordinary_template_has_no_field_that_the_first_server_refuses():
    wire = templates.encode_template_spec(TemplateSpec(name="t", image_url="i"))
    # Code of schema 0001 knows the numbers up to 14.
    assert max(field.number for field, _ in wire.ListFields()) <= 14
