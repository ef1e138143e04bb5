"""Spans of one process. Off unless a tracer is given, and then nothing is made or kept.

A parent is a traceparent: the text that came from another process, or from a column. Without one a
span belongs to the span that is current, and without that it begins a trace.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeAlias

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from flow_tracing.traceparent import is_traceparent

Attributes: TypeAlias = Mapping[str, str | int | float | bool]

_TRACEPARENT = "traceparent"
_propagator = TraceContextTextMapPropagator()


class OpenSpan:
    """A span that ends when it is told to, whoever is current then."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def current(self) -> AbstractContextManager[object]:
        """Make it the parent of what begins inside the `with`."""
        return trace.use_span(self._span, end_on_exit=False, record_exception=False)

    def end(self, *, error: str = "") -> None:
        """End it; `error` says what went wrong, empty where nothing did."""
        if error:
            self._span.set_status(Status(StatusCode.ERROR, error))
        self._span.end()


class Tracing:
    """Makes spans, or none: `is_on` says which. Times are nanoseconds since 1970."""

    def __init__(self, tracer: Tracer | None = None) -> None:
        self._tracer = tracer

    @property
    def is_on(self) -> bool:
        """Whether anything is made at all."""
        return self._tracer is not None

    @property
    def is_inside(self) -> bool:
        """Whether a span is current, and anything is made."""
        return self._tracer is not None and trace.get_current_span().get_span_context().is_valid

    def span(
        self,
        name: str,
        *,
        parent: str = "",
        serves: bool = False,
        attributes: Attributes | None = None,
    ) -> AbstractContextManager[None]:
        """Time what happens inside the `with`, as the current span; an exception marks it failed.

        `serves`: it answers a call of another process.
        """
        if self._tracer is None:
            return nullcontext()
        return self._span(self._tracer, name, parent, serves=serves, attributes=attributes)

    @contextmanager
    def _span(
        self,
        tracer: Tracer,
        name: str,
        parent: str,
        *,
        serves: bool,
        attributes: Attributes | None,
    ) -> Iterator[None]:
        kind = SpanKind.SERVER if serves else SpanKind.INTERNAL
        context = _context(parent)
        # What an exception says may be a person's: its kind is enough.
        with tracer.start_as_current_span(
            name,
            context=context,
            kind=kind,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except BaseException as error:
                span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                raise

    def begin(
        self, name: str, *, parent: str = "", attributes: Attributes | None = None
    ) -> OpenSpan | None:
        """Begin a span that outlives the call; None where tracing is off."""
        if self._tracer is None:
            return None
        return OpenSpan(
            self._tracer.start_span(name, context=_context(parent), attributes=attributes)
        )

    def record(
        self,
        name: str,
        *,
        parent: str,
        began_ns: int,
        ended_ns: int,
        error: str = "",
        attributes: Attributes | None = None,
    ) -> None:
        """Record what is over."""
        if self._tracer is None:
            return
        span = self._tracer.start_span(
            name, context=_context(parent), start_time=began_ns, attributes=attributes
        )
        if error:
            span.set_status(Status(StatusCode.ERROR, error))
        span.end(end_time=max(began_ns, ended_ns))

    def traceparent(self) -> str:
        """Return the current span for another process, empty where there is none."""
        if self._tracer is None:
            return ""
        carrier: dict[str, str] = {}
        _propagator.inject(carrier)
        return carrier.get(_TRACEPARENT, "")


NO_TRACING = Tracing()


def now_ns() -> int:
    """Return the time as spans have it."""
    return time.time_ns()


def _context(parent: str) -> Context | None:
    if not is_traceparent(parent):
        return None
    return _propagator.extract({_TRACEPARENT: parent}, context=Context())
