"""Lets a call belong to the trace of who calls, where the caller has one: W3C Trace Context."""

import sys

Headers = tuple[tuple[str, str], ...]

_LIBRARY = "opentelemetry.trace"


def headers() -> Headers:
    """Return what says to which trace the caller's current span belongs; nothing without one.

    Costs a look-up where the caller does not use OpenTelemetry, which this package does not need.
    """
    if _LIBRARY not in sys.modules:
        return ()
    from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415  see above
        TraceContextTextMapPropagator,
    )

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return tuple(carrier.items())
