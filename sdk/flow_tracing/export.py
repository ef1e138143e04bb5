"""Where spans go: to an OpenTelemetry collector, in a thread, with `fedflow[tracing]` installed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from flow_tracing.tracing import NO_TRACING, Tracing

# For the last spans, when the process ends; a collector that is away loses them.
_LAST_WORDS_S = 5
_PATH = "/v1/traces"


class TracingUnavailable(Exception):
    """An endpoint is given and the libraries to reach it are not installed."""


@asynccontextmanager
async def open_tracing(
    endpoint: str, *, service: str, version: str, instance: str
) -> AsyncIterator[Tracing]:
    """Trace to the OTLP/HTTP collector at `endpoint`, its base URL; "" traces nothing.

    What else is to be said of the exporter and of sampling it reads from the variables OTEL_… that
    OpenTelemetry defines. A collector that is away costs spans, and nobody waits for it but, for
    some seconds, the end of the process.

    Raises:
        TracingUnavailable: `fedflow[tracing]` is not installed.
    """
    if not endpoint:
        yield NO_TRACING
        return
    provider = _provider(endpoint, service=service, version=version, instance=instance)
    try:
        yield Tracing(provider.get_tracer("fedflow", version))
    finally:
        # It waits for the network, so not in the loop.
        await asyncio.to_thread(provider.shutdown)


def _provider(endpoint: str, *, service: str, version: str, instance: str) -> Any:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415  extra
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415  the same
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415  the same
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415  the same
    except ImportError as error:
        raise TracingUnavailable(
            f"traces are to go to {endpoint}, and what sends them is not installed ({error.name}); "
            "install fedflow[tracing], or leave the endpoint out"
        ) from None
    # Its own, and not the process's: several servers may live in one.
    provider = TracerProvider(
        resource=Resource.create(
            {
                "service.name": service,
                "service.version": version,
                "service.instance.id": instance,
            }
        ),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + _PATH, timeout=_LAST_WORDS_S)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider
