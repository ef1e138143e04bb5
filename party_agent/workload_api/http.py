"""HTTP/1.1 on one party run's socket, bounded: whatever a workload sends, it holds up itself only.

Bodies, headers, connections and requests in a second have limits; who sends faster is answered
more slowly.
"""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import h11
import structlog

from flow_contract.errors import CATALOGUE, FlowError, TooLarge

MAX_BODY_BYTES = 1024**2
MAX_CONNECTIONS = 16
REQUESTS_PER_S = 200
_MAX_HEAD_BYTES = 16 * 1024
_READ_BYTES = 64 * 1024
# A client that is silent for longer in the middle of a request, or between two, connects again.
_READ_TIMEOUT_S = 60.0
_IDLE_TIMEOUT_S = 600.0
_BURST_S = 1.0

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request; its body comes in chunks, once. `size_bytes` is what it says of its body."""

    method: str
    path: str
    chunks: AsyncIterator[bytes]
    size_bytes: int | None = None

    async def body(self, most_bytes: int = MAX_BODY_BYTES) -> bytes:
        """Return the whole body. Raises TooLarge."""
        body = bytearray()
        async for chunk in self.chunks:
            body += chunk
            if len(body) > most_bytes:
                raise TooLarge(
                    f"body: more than {most_bytes} bytes; send less at once", field="body"
                )
        return bytes(body)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A status and a JSON object, None for nothing."""

    status: int
    document: dict[str, Any] | None = None


Handler = Callable[[Request], Awaitable[Answer]]


class WorkloadServer:
    """Serves one listening socket until `aclose`. `handle` may raise errors of the catalogue."""

    def __init__(self, handle: Handler) -> None:
        self._handle = handle
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._paid_until_s = 0.0

    async def start(self, listener: socket.socket) -> None:
        """Begin to serve."""
        self._server = await asyncio.start_unix_server(
            self._accepted, sock=listener, limit=_READ_BYTES
        )

    async def aclose(self) -> None:
        """End all connections. May be called twice."""
        if self._server is not None:
            self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("workload_request_failed", exc_info=error)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(reader, writer)
        try:
            if len(self._tasks) > MAX_CONNECTIONS:
                await connection.turn_away()
                return
            while await connection.answer_next(self._answer):
                pass
        except (OSError, TimeoutError, h11.ProtocolError):
            log.debug("workload_connection_dropped")
        finally:
            writer.close()

    async def _answer(self, request: Request) -> Answer:
        await self._turn()
        try:
            return await self._handle(request)
        except FlowError as error:
            status = CATALOGUE[type(error)].http
            return Answer(status=status, document=_described(error.message, error.field))

    async def _turn(self) -> None:
        now_s = asyncio.get_running_loop().time()
        self._paid_until_s = max(self._paid_until_s, now_s - _BURST_S) + 1 / REQUESTS_PER_S
        if self._paid_until_s > now_s:
            await asyncio.sleep(self._paid_until_s - now_s)


class _Connection:
    """One connection: requests in, answers out, one after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._state = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD_BYTES)

    async def answer_next(self, handle: Handler) -> bool:
        """Answer one request; False if there is no further one."""
        try:
            event = await self._event(_IDLE_TIMEOUT_S)
            if not isinstance(event, h11.Request):
                return False
            request = Request(
                method=event.method.decode(),
                path=event.target.decode("ascii", "replace").partition("?")[0],
                chunks=self._chunks(),
                size_bytes=_size_bytes(event),
            )
            answer = await handle(request)
        except h11.RemoteProtocolError as error:
            if self._state.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                answer = Answer(
                    status=error.error_status_hint, document=_described(f"not HTTP/1.1: {error}")
                )
                await self._send(answer)
            return False
        await self._send(answer)
        # A body that nobody read stands in the way of the next request.
        if self._state.our_state is not h11.DONE or self._state.their_state is not h11.DONE:
            return False
        self._state.start_next_cycle()
        return True

    async def turn_away(self) -> None:
        """Say that there are too many connections."""
        message = f"more than {MAX_CONNECTIONS} connections at once; use one for many requests"
        with suppress(h11.RemoteProtocolError):
            await self._event(_READ_TIMEOUT_S)
            await self._send(Answer(status=503, document=_described(message)))

    async def _chunks(self) -> AsyncIterator[bytes]:
        if self._state.they_are_waiting_for_100_continue:
            await self._write(h11.InformationalResponse(status_code=100, headers=[]))
        while isinstance(event := await self._event(_READ_TIMEOUT_S), h11.Data):
            yield bytes(event.data)
        if not isinstance(event, h11.EndOfMessage):
            raise ConnectionResetError("the client left in the middle of a body")

    async def _event(self, timeout_s: float) -> Any:
        while (event := self._state.next_event()) is h11.NEED_DATA:
            async with asyncio.timeout(timeout_s):
                self._state.receive_data(await self._reader.read(_READ_BYTES))
        return event

    async def _send(self, answer: Answer) -> None:
        content = b"" if answer.document is None else json.dumps(answer.document).encode() + b"\n"
        headers = [("Content-Type", "application/json")] if content else []
        if answer.status != 204:  # noqa: PLR2004  has no body, by definition
            headers.append(("Content-Length", str(len(content))))
        if self._state.their_state is not h11.DONE:
            headers.append(("Connection", "close"))
        await self._write(h11.Response(status_code=answer.status, headers=headers))
        if content:
            await self._write(h11.Data(data=content))
        await self._write(h11.EndOfMessage())

    async def _write(self, event: Any) -> None:
        data = self._state.send(event)
        if data:
            self._writer.write(data)
            async with asyncio.timeout(_READ_TIMEOUT_S):
                await self._writer.drain()


def _size_bytes(request: h11.Request) -> int | None:
    # h11 lets nothing but digits pass.
    found = [value for name, value in request.headers if name == b"content-length"]
    return int(found[0]) if found else None


def _described(message: str, field: str = "") -> dict[str, Any]:
    return {"error": {"field": field, "message": message}}
