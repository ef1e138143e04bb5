"""HTTP/1.1 on one party run's socket, bounded: whatever a workload sends, it holds up itself only.

Bodies, headers, connections, and in a second requests, connections and bytes of bodies have limits;
who sends faster is answered more slowly, and waits to be let in.
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
from party_agent.workload_api.pace import Pace

MAX_BODY_BYTES = 1024**2
MAX_CONNECTIONS = 16
# That hear that there are too many; further ones wait in the kernel.
MAX_TURNED_AWAY = 16
REQUESTS_PER_S = 200
CONNECTIONS_PER_S = 200
# What is read whole and as JSON costs the agent's own time.
BODY_BYTES_PER_S = 4 * 1024**2
_MAX_HEAD_BYTES = 16 * 1024
_READ_BYTES = 64 * 1024
_ACCEPT_AGAIN_S = 1.0

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a client may take. One that takes longer connects again.

    `read_s` for the next bytes of a body, or to take an answer; `head_s` for all of a request's
    head; `idle_s` between two requests; `turn_away_s` to hear that there are too many.
    """

    read_s: float = 60.0
    head_s: float = 60.0
    idle_s: float = 600.0
    turn_away_s: float = 5.0


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request; its body comes in chunks, once.

    `pay` is told the bytes of a whole body; `size_bytes` is what the request says of it.
    """

    method: str
    path: str
    chunks: AsyncIterator[bytes]
    pay: Callable[[int], None] = lambda _: None
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
        self.pay(len(body))
        return bytes(body)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A status and a JSON object, None for nothing."""

    status: int
    document: dict[str, Any] | None = None


Handler = Callable[[Request], Awaitable[Answer]]


class WorkloadServer:
    """Serves one listening socket until `aclose`. `handle` may raise errors of the catalogue."""

    def __init__(self, handle: Handler, *, patience: Patience | None = None) -> None:
        self._handle = handle
        self._patience = patience or Patience()
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(MAX_CONNECTIONS + MAX_TURNED_AWAY)
        self._connections = Pace(CONNECTIONS_PER_S)
        self._requests = Pace(REQUESTS_PER_S)

    async def start(self, listener: socket.socket) -> None:
        """Begin to serve; the listener is the server's from now on."""
        self._listener = listener
        self._accepting = asyncio.create_task(self._accept(listener))

    async def aclose(self) -> None:
        """End all connections. May be called twice."""
        tasks = list(self._tasks)
        if self._accepting is not None:
            tasks.append(self._accepting)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._listener is not None:
            self._listener.close()

    async def _accept(self, listener: socket.socket) -> None:
        """Let connections in, no faster than they are to come, and no more than have a place."""
        loop = asyncio.get_running_loop()
        while True:
            await self._places.acquire()
            await self._connections.turn()
            try:
                accepted, _ = await loop.sock_accept(listener)
            except OSError as error:
                self._places.release()
                log.warning("workload_not_accepted", error=str(error))
                await asyncio.sleep(_ACCEPT_AGAIN_S)
                continue
            task = asyncio.create_task(self._serve(accepted))
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._places.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("workload_request_failed", exc_info=error)

    async def _serve(self, accepted: socket.socket) -> None:
        try:
            reader, writer = await asyncio.open_unix_connection(sock=accepted, limit=_READ_BYTES)
        except BaseException:
            accepted.close()
            raise
        connection = _Connection(reader, writer, self._patience)
        try:
            if len(self._tasks) > MAX_CONNECTIONS:
                await connection.turn_away()
            else:
                while await connection.answer_next(self._answer, self._pay):
                    pass
            await connection.close()
        except (OSError, TimeoutError, h11.ProtocolError):
            log.debug("workload_connection_dropped")
        finally:
            # Not `close`: that waits for ever for somebody who does not read.
            writer.transport.abort()

    async def _answer(self, request: Request) -> Answer:
        await self._requests.turn()
        try:
            return await self._handle(request)
        except FlowError as error:
            status = CATALOGUE[type(error)].http
            return Answer(status=status, document=_described(error.message, error.field))

    def _pay(self, body_bytes: int) -> None:
        self._requests.charge(body_bytes / BODY_BYTES_PER_S)


class _Connection:
    """One connection: requests in, answers out, one after the other."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, patience: Patience
    ) -> None:
        self._reader, self._writer = reader, writer
        self._patience = patience
        self._state = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD_BYTES)

    async def answer_next(self, handle: Handler, pay: Callable[[int], None]) -> bool:
        """Answer one request; False if there is no further one."""
        try:
            event = await self._head()
            if not isinstance(event, h11.Request):
                return False
            request = Request(
                method=event.method.decode(),
                path=event.target.decode("ascii", "replace").partition("?")[0],
                chunks=self._chunks(),
                pay=pay,
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
            async with asyncio.timeout(self._patience.turn_away_s):
                await self._event(self._patience.turn_away_s)
            await self._send(Answer(status=503, document=_described(message)))

    async def close(self) -> None:
        """Let the last answer out, as long as somebody may take to read."""
        self._writer.close()
        async with asyncio.timeout(self._patience.read_s):
            await self._writer.wait_closed()

    async def _head(self) -> Any:
        if (event := self._state.next_event()) is not h11.NEED_DATA:
            return event
        async with asyncio.timeout(self._patience.idle_s):
            self._state.receive_data(await self._reader.read(_READ_BYTES))
        # All of it: who sends a byte now and then holds a place of the others.
        async with asyncio.timeout(self._patience.head_s):
            return await self._event(self._patience.head_s)

    async def _chunks(self) -> AsyncIterator[bytes]:
        if self._state.they_are_waiting_for_100_continue:
            await self._write(h11.InformationalResponse(status_code=100, headers=[]))
        while isinstance(event := await self._event(self._patience.read_s), h11.Data):
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
            async with asyncio.timeout(self._patience.read_s):
                await self._writer.drain()


def _size_bytes(request: h11.Request) -> int | None:
    # h11 lets nothing but digits pass.
    found = [value for name, value in request.headers if name == b"content-length"]
    return int(found[0]) if found else None


def _described(message: str, field: str = "") -> dict[str, Any]:
    return {"error": {"field": field, "message": message}}
