"""What is served over HTTP, and where: health, readiness, metrics."""

from collections.abc import Awaitable, Callable, Iterator

from flow_server.gateways.http import HttpServer, Page, make_app
from flow_server.settings import ServerSettings


def make_http_servers(
    settings: ServerSettings, check_ready: Callable[[], Awaitable[None]], page: Page
) -> Iterator[HttpServer]:
    """Yield the HTTP port's server and, where metrics are to be elsewhere, theirs; each listens.

    Raises:
        InvalidArgument: an address can't be listened on.
    """
    host, _, port = settings.metrics_listen.rpartition(":")
    is_apart = settings.metrics and bool(port)
    yield HttpServer(
        make_app(check_ready, page if settings.metrics and not is_apart else None),
        host=settings.host,
        port=settings.http_port,
        max_connections=settings.http_connections,
        option="http-port",
    )
    if is_apart:
        yield HttpServer(
            make_app(check_ready, page),
            host=host.strip("[]"),
            port=int(port),
            max_connections=settings.http_connections,
            option="metrics-listen",
        )
