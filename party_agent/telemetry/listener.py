"""The agent's own HTTP listener: /metrics, /healthz, /readyz. GET only, one request a connection.

Nobody at the other end can hold up the agent: connections, the size of a request and the time for
it have bounds.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final, TypeAlias

import h11
import structlog

_MAX_CONNECTIONS: Final = 16
_MAX_HEAD_BYTES: Final = 8 * 1024
_REQUEST_WITHIN_S: Final = 10.0
_ANSWER_WITHIN_S: Final = 30.0

log = structlog.get_logger()

# Status, content type, content.
Page: TypeAlias = tuple[int, str, bytes]


def document(status: int, /, **said: str) -> Page:
    """Return a small JSON page."""
    return status, "application/json", json.dumps(said).encode() + b"\n"


class ListenerUnusable(Exception):
    """The agent can't listen where its settings say."""


class Listener:
    """Serves `pages` by their path. `address` is the real one, also when port 0 was asked for."""

    def __init__(self, pages: Mapping[str, Callable[[], Awaitable[Page]]]) -> None:
        self.address = ""
        self._pages = pages
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, host: str, port: int) -> None:
        """Listen. Raises OSError."""
        self._server = await asyncio.start_server(
            self._accepted, host, port, limit=_MAX_HEAD_BYTES, start_serving=True
        )
        name, number = self._server.sockets[0].getsockname()[:2]
        self.address = f"[{name}]:{number}" if ":" in name else f"{name}:{number}"

    async def aclose(self) -> None:
        """Listen no more, and end all connections. May be called twice, or without `open`."""
        if self._server is not None:
            self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._tasks) >= _MAX_CONNECTIONS:
            writer.close()
            return
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        state = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD_BYTES)
        try:
            with suppress(OSError, TimeoutError, h11.LocalProtocolError):
                try:
                    async with asyncio.timeout(_REQUEST_WITHIN_S):
                        request = await _request(state, reader)
                except h11.RemoteProtocolError as error:
                    await _send(state, writer, document(error.error_status_hint, error=str(error)))
                    return
                if request is not None:
                    async with asyncio.timeout(_ANSWER_WITHIN_S):
                        await _send(state, writer, await self._answer(request))
        finally:
            writer.close()

    async def _answer(self, request: h11.Request) -> Page:
        page = self._pages.get(request.target.decode("ascii", "replace").partition("?")[0])
        if page is None:
            return document(404, error="there is /metrics, /healthz and /readyz")
        if request.method != b"GET":
            return document(405, error="GET only")
        return await page()


async def listen(listener: Listener, where: str) -> None:
    """Open the listener at HOST:PORT; "" opens nothing.

    Raises:
        ListenerUnusable: somebody else listens there, or it is no address of this machine.
    """
    if not where:
        return
    host, _, port = where.rpartition(":")
    try:
        await listener.open(host.strip("[]"), int(port))
    except OSError as error:
        raise ListenerUnusable(
            f"--metrics-listen: can't listen on {where} ({error.strerror or error}); choose "
            "another port, or leave it out"
        ) from None
    log.info("metrics_listening", address=listener.address)


async def _request(state: h11.Connection, reader: asyncio.StreamReader) -> h11.Request | None:
    while (event := state.next_event()) is h11.NEED_DATA:
        state.receive_data(await reader.read(_MAX_HEAD_BYTES))
    return event if isinstance(event, h11.Request) else None


async def _send(state: h11.Connection, writer: asyncio.StreamWriter, page: Page) -> None:
    status, content_type, content = page
    headers = [
        ("Content-Type", content_type),
        ("Content-Length", str(len(content))),
        ("Connection", "close"),
    ]
    for event in (
        h11.Response(status_code=status, headers=headers),
        h11.Data(data=content),
        h11.EndOfMessage(),
    ):
        writer.write(state.send(event) or b"")
    await writer.drain()
