"""One start is one trace: from who asks, through the server, to the agents and their engines."""

import pytest
from opentelemetry.sdk.trace import TracerProvider

from tests.observe.collector import Collector

PARTIES = ("hospital-a", "hospital-b")
SERVER = {"TaskService/Start", "start", "start.validate", "start.store", "deliver"}
AGENT = {"agent.prepare", "agent.launch", "agent.run", "agent.report"}


@pytest.fixture
def collector(monkeypatch):
    collector = Collector()
    # Child processes inherit it.
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    yield collector
    collector.close()


def started_by_a_caller_with_a_span(flow, task_id):
    """Start the task inside a span of the caller's own; return that span's context."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("a notebook")
    with tracer.start_as_current_span("experiment") as span:
        flow.start(task_id)
    return span.get_span_context()


def ran(flow, script):
    """Run the script after it was seen running; return the caller's span and the task's end."""
    gate = flow.gate()
    task_id = flow.shell(f"{gate.script}; {script}", parties=PARTIES)
    caller = started_by_a_caller_with_a_span(flow, task_id)
    flow.until_status(task_id, "Running")
    gate.open()
    return caller, flow.wait(task_id)


def the_tree(flow, collector, caller):
    """End all processes, so that all is told; return the caller's spans by id."""
    for child in (*flow.sites, flow.server):
        assert child.terminate() == 0, child.log
    found = collector.of(caller.trace_id.to_bytes(16, "big"))
    return {span.span_id: (service, instance, span) for service, instance, span in found}


def names_of(tree, service, instance=None):
    return {
        span.name
        for of_service, of_instance, span in tree.values()
        if of_service == service and instance in (None, of_instance)
    }


def assert_connected(tree, caller):
    known = {*tree, caller.span_id.to_bytes(8, "big")}
    assert [span.name for *_, span in tree.values() if span.parent_span_id not in known] == []


def test_one_start_is_one_connected_tree_of_three_processes(collector, found):
    flow = found("--runtime", "process", "--on-exit", "stop", lost_after_s=5)
    caller, ended = ran(flow, "true")
    assert ended["status"] == "Succeeded"
    tree = the_tree(flow, collector, caller)
    assert_connected(tree, caller)
    assert names_of(tree, "fedflow-server") == SERVER
    for party in PARTIES:
        assert names_of(tree, "fedflow-agent", party) == AGENT
    assert names_of(tree, "fedflow-agent", "hospital-c") == set()
    [call] = [span for *_, span in tree.values() if span.name == "TaskService/Start"]
    assert call.parent_span_id == caller.span_id.to_bytes(8, "big")
    # Nothing else is traced: no call but the start, no work of the agents' own.
    assert {span.trace_id for *_, span in collector.spans} == {caller.trace_id.to_bytes(16, "big")}


@pytest.mark.docker
def test_calls_to_the_engine_are_children_of_what_they_are_made_for(collector, found):
    flow = found("--runtime", "docker", "--on-exit", "stop", lost_after_s=5)
    caller, ended = ran(flow, "exit 3")
    assert ended["status"] == "Failed"
    flow.until_cleared()
    tree = the_tree(flow, collector, caller)
    assert_connected(tree, caller)
    for party in PARTIES:
        made_for = {
            (tree[span.parent_span_id][2].name, span.name)
            for _, instance, span in tree.values()
            if instance == party and span.name.startswith("engine.")
        }
        assert {("agent.prepare", "engine.create"), ("agent.launch", "engine.start")} <= made_for
        [run] = [
            span
            for _, instance, span in tree.values()
            if instance == party and span.name == "agent.run"
        ]
        assert run.status.message == "exit_nonzero"
