"""Every call of ours is in one of the two tables, and names fields that it has."""

import pytest

from flow_server.domain.audited import AUDITED, READING
from flow_wire import (
    agents_pb2,
    audit_pb2,
    enrolment_pb2,
    events_pb2,
    logs_pb2,
    metrics_pb2,
    outputs_pb2,
    parties_pb2,
    runs_pb2,
    tasks_pb2,
    templates_pb2,
    tunnels_pb2,
    users_pb2,
    webhooks_pb2,
)

METHODS = {
    f"{service.name}/{method.name}": method
    for module in (
        agents_pb2,
        audit_pb2,
        enrolment_pb2,
        events_pb2,
        webhooks_pb2,
        metrics_pb2,
        logs_pb2,
        outputs_pb2,
        parties_pb2,
        runs_pb2,
        tasks_pb2,
        templates_pb2,
        tunnels_pb2,
        users_pb2,
    )
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


def test_every_call_is_either_audited_or_reads_only():
    assert set(METHODS) == set(AUDITED) | READING
    assert not set(AUDITED) & READING


@pytest.mark.parametrize(
    "name",
    sorted(set(AUDITED) - {"AgentService/Connect", "AgentService/Renew", "LogService/Push"}),
)
def test_what_an_entry_is_about_is_a_field_of_the_request_or_the_answer(name):
    method = METHODS[name]
    fields = set(method.input_type.fields_by_name) | set(method.output_type.fields_by_name)
    subject = AUDITED[name]
    assert {subject.field, *subject.also} <= fields
