"""Calls as metrics and as spans."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from flow_server.grpc_api.observing import Call
from flow_server.telemetry.metrics import ServerMetrics
from flow_tracing import Tracing


class CallWatch:
    """Watches calls.

    Only those that answer once are timed: the others last as long as somebody listens.
    """

    def __init__(self, metrics: ServerMetrics, tracing: Tracing, traced: frozenset[str]) -> None:
        """`traced` are the methods that become spans."""
        self._metrics = metrics
        self._tracing = tracing
        self._traced = traced

    @contextmanager
    def __call__(self, call: Call) -> Iterator[None]:
        """Count, time and trace what happens inside the `with`."""
        in_progress = self._metrics.rpcs_in_progress.labels(call.method)
        in_progress.inc()
        began_s = time.perf_counter()
        try:
            if self._tracing.is_on and call.method in self._traced:
                with self._tracing.span(call.method, parent=call.traceparent, serves=True):
                    yield
            else:
                yield
        finally:
            in_progress.dec()
            self._metrics.rpcs.labels(call.method, call.code).inc()
            if not call.lasts:
                self._metrics.rpc_s.labels(call.method).observe(time.perf_counter() - began_s)
