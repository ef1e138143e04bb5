"""The HTTP entrance: liveness and readiness, in the server's own loop.

`/healthz` says that the process answers; `/readyz` that it can reach its database and is not about
to end; `/metrics` is for Prometheus.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeAlias

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from flow_contract.errors import InvalidArgument, Unavailable
from flow_server.gateways.impatient import KEEP_ALIVE_S, MAX_HEAD_BYTES, ImpatientProtocol

# The page and its content type.
Page: TypeAlias = Callable[[], Awaitable[tuple[bytes, str]]]


def make_app(check_ready: Callable[[], Awaitable[None]], metrics: Page | None = None) -> Starlette:
    """Return the application. `check_ready` raises Unavailable while it can't serve.

    Without `metrics` there is no such page here.
    """

    async def healthz(_request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def readyz(_request: Request) -> JSONResponse:
        try:
            await check_ready()
        except Unavailable as error:
            return JSONResponse({"status": "unavailable", "message": error.message}, 503)
        return JSONResponse({"status": "ok"})

    routes = [Route("/healthz", healthz), Route("/readyz", readyz)]
    if metrics is not None:
        page = metrics

        async def show(_request: Request) -> Response:
            content, content_type = await page()
            return Response(content, headers={"Content-Type": content_type})

        routes.append(Route("/metrics", show))
    return Starlette(routes=routes)


class _Quiet(uvicorn.Server):
    """uvicorn without its own signal handlers: the process has one owner of signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


class HttpServer:
    """Listens on one address. `port` is the real one, also when 0 was asked for.

    Beyond `max_connections` the answer is 503. A connection that does not bring a whole request in
    time is closed, see `impatient`. `option` is what an operator changes where it can't listen.
    """

    def __init__(
        self, app: Starlette, *, host: str, port: int, max_connections: int, option: str
    ) -> None:
        self._socket = _listen(host, port, option)
        self.host = host
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            http=ImpatientProtocol,
            limit_concurrency=max_connections,
            timeout_keep_alive=KEEP_ALIVE_S,
            h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        )
        self._server = _Quiet(config)
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to serve."""
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))

    async def aclose(self) -> None:
        """Finish what is being answered, then end. May be called twice."""
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving
        self._socket.close()


def _listen(host: str, port: int, option: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise InvalidArgument(
            f"--{option}: can't listen on {host}:{port} ({error.strerror}); choose another port "
            "or 0 for any",
            field=option.replace("-", "_"),
        ) from None
    return listener
