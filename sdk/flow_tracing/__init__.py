"""Traces of starts, for server and agent: OpenTelemetry behind a few words of our own."""

from flow_tracing.export import TracingUnavailable, open_tracing
from flow_tracing.traceparent import is_traceparent
from flow_tracing.tracing import NO_TRACING, OpenSpan, Tracing

__all__ = [
    "NO_TRACING",
    "OpenSpan",
    "Tracing",
    "TracingUnavailable",
    "is_traceparent",
    "open_tracing",
]
