"""Where one server's traces go, as its settings say; and which version it is."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import metadata

from flow_contract.errors import InvalidArgument, Kind
from flow_server.settings import ServerSettings
from flow_tracing import Tracing, TracingUnavailable, open_tracing


@asynccontextmanager
async def open_traces(settings: ServerSettings) -> AsyncIterator[Tracing]:
    """Trace as the settings say. Raises InvalidArgument where that needs what is not installed."""
    opened = open_tracing(
        settings.otlp_endpoint,
        service="fedflow-server",
        version=version(),
        instance=uuid.uuid4().hex[:12],
    )
    try:
        tracing = await opened.__aenter__()
    except TracingUnavailable as error:
        raise InvalidArgument(
            f"--otlp-endpoint: {error}", kind=Kind.SERVER, field="otlp_endpoint"
        ) from None
    try:
        yield tracing
    finally:
        await opened.__aexit__(None, None, None)


def version() -> str:
    """Return the installed version, or that there is none: a source tree."""
    try:
        return metadata.version("fedflow")
    except metadata.PackageNotFoundError:
        return "source"
