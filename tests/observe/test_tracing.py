"""What holds of traces whoever makes them: bad parents, no collector, no library, no cost."""

import sys

import pytest
from opentelemetry.sdk.trace import TracerProvider

from flow_contract.errors import InvalidArgument
from flow_server_sdk import traces
from flow_tracing import NO_TRACING, TracingUnavailable, is_traceparent, open_tracing
from tests.observe.collector import Collector
from tests.server.flows import make_task

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_EXPORTER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


@pytest.fixture
def collector():
    collector = Collector()
    yield collector
    collector.close()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        PARENT + " ",
        PARENT.upper(),
        PARENT.replace("00-", "01-", 1),
        "00-" + "0" * 32 + PARENT[35:],
        PARENT[:36] + "0" * 16 + "-01",
        PARENT + "\n",
    ],
)
async def test_what_is_no_traceparent_is_no_parent(collector, text):
    assert not is_traceparent(text)
    async with open_tracing(collector.endpoint, service="s", version="1", instance="i") as tracing:
        with tracing.span("one", parent=text):
            assert is_traceparent(tracing.traceparent())
    [(_, _, span)] = collector.spans
    assert span.parent_span_id == b""


async def test_a_span_of_another_process_is_the_parent(collector):
    async with open_tracing(collector.endpoint, service="s", version="1", instance="i") as tracing:
        tracing.record("late", parent=PARENT, began_ns=5, ended_ns=3, error="why")
        with pytest.raises(KeyError), tracing.span("failing", parent=PARENT):
            raise KeyError("of a person")
    late, failing = (span for _, _, span in sorted(collector.spans, key=lambda s: s[2].name)[::-1])
    assert {span.trace_id.hex() for span in (late, failing)} == {PARENT[3:35]}
    assert {span.parent_span_id.hex() for span in (late, failing)} == {PARENT[36:52]}
    assert (late.start_time_unix_nano, late.end_time_unix_nano) == (5, 5)
    assert (late.status.message, failing.status.message) == ("why", "KeyError")
    assert "of a person" not in str(failing)


async def test_a_collector_that_is_away_holds_nothing_up():
    gone = Collector()
    gone.close()
    async with open_tracing(gone.endpoint, service="s", version="1", instance="i") as tracing:
        with tracing.span("lost"):
            pass


async def test_without_the_library_the_operator_is_told_what_to_install(start, monkeypatch):
    monkeypatch.setitem(sys.modules, _EXPORTER, None)
    with pytest.raises(InvalidArgument, match=r"--otlp-endpoint: .*install fedflow\[tracing\]"):
        await start(otlp_endpoint="http://127.0.0.1:1")
    opened = open_tracing("http://127.0.0.1:1", service="s", version="1", instance="i")
    with pytest.raises(TracingUnavailable):
        await opened.__aenter__()


async def test_what_callers_send_is_not_kept_where_nothing_is_traced(server, sdk, connect):
    agent = await connect("a")
    task_id = await make_task(sdk, ["a"])
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("a notebook")
    with tracer.start_as_current_span("experiment"):
        assert [name for name, _ in traces.headers()] == ["traceparent"]
        assert (await sdk.task.start(task_id))["ret_code"] == 0
    assert (await agent.assigned()).traceparent == ""


def test_what_is_off_makes_nothing():
    with NO_TRACING.span("one", parent=PARENT):
        assert not NO_TRACING.is_inside
        assert NO_TRACING.traceparent() == ""
    assert NO_TRACING.begin("one", parent=PARENT) is None
    NO_TRACING.record("one", parent=PARENT, began_ns=0, ended_ns=1)
