"""LogService on gRPC: agents push over a stream of their own, users read."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

from flow_contract.errors import Forbidden, InvalidArgument, Kind, Unauthenticated, Unavailable
from flow_contract.ids import is_party_id
from flow_contract.logs import LogChunk, LogClosed, LogEnd, LogHead, LogState
from flow_server.grpc_api import callers
from flow_server.grpc_api.certificates import party_of
from flow_server.grpc_api.context import Context
from flow_server.services.log_pushes import LogPushService, Sender, out_of_place
from flow_server.services.log_reads import LogReadService
from flow_wire import logs_pb2 as pb
from flow_wire import logs_pb2_grpc
from flow_wire.codec.logs import (
    decode_log_chunk,
    decode_log_closed,
    decode_log_request,
    encode_log_chunk,
    encode_log_end,
    encode_log_head,
)

# Chunks that one stream may have waiting here; while there are more it is not read.
_MAX_WAITING = 64


class LogServicer(logs_pb2_grpc.LogServiceServicer):
    """See proto/logs.proto. `insecure`: an agent is whom its hello names."""

    def __init__(self, pushes: LogPushService, reads: LogReadService, *, insecure: bool) -> None:
        self._pushes = pushes
        self._reads = reads
        self._insecure = insecure
        self._leaving = asyncio.Event()

    def close(self) -> None:
        """End the pushing streams, now and later: the server is leaving."""
        self._leaving.set()

    async def Push(  # type: ignore[override]  # grpc.aio also takes a handler that writes itself
        self, requests: AsyncIterator[pb.PushLogsRequest], context: Context
    ) -> None:
        hello = await anext(requests, None)
        if hello is None or hello.WhichOneof("body") != "hello":
            raise InvalidArgument("the first message of a push must be hello", field="hello")
        push = _Push(self._pushes, self._sender(hello.hello, context), context)
        await push.greet(hello.hello)
        works = [
            asyncio.create_task(work)
            for work in (push.read(requests), push.store(), self._leaving.wait())
        ]
        try:
            done, _ = await asyncio.wait(works, return_when=asyncio.FIRST_COMPLETED)
            for work in done:
                work.result()
        finally:
            for work in works:
                work.cancel()
            await asyncio.gather(*works, return_exceptions=True)
        if self._leaving.is_set():
            raise Unavailable("the server is shutting down; dial again", kind=Kind.SERVER)

    async def Read(
        self, request: pb.ReadLogsRequest, context: Context
    ) -> AsyncGenerator[pb.ReadLogsResponse, None]:
        calling = callers.calling()
        async with contextlib.aclosing(
            self._reads.read(
                decode_log_request(request), caller=calling.caller, again=calling.again
            )
        ) as pieces:
            async for piece in pieces:
                match piece:
                    case LogHead():
                        yield pb.ReadLogsResponse(head=encode_log_head(piece))
                    case LogChunk():
                        yield pb.ReadLogsResponse(chunk=encode_log_chunk(piece))
                    case _:
                        yield pb.ReadLogsResponse(caught_up=pb.CaughtUp())

    def _sender(self, hello: pb.LogHello, context: Context) -> Sender:
        if self._insecure:
            if not is_party_id(hello.federated_id):
                raise InvalidArgument("federated_id: not a party id", field="federated_id")
            return Sender(federated_id=hello.federated_id)
        identity = party_of(context.auth_context())
        if identity is None:
            raise Unauthenticated("this connection shows no party's certificate", kind=Kind.PARTY)
        if hello.federated_id != identity.federated_id:
            raise Forbidden(
                f"this agent's certificate is for party {identity.federated_id!r}, and it can "
                "speak for no other",
                kind=Kind.PARTY,
                field="federated_id",
            )
        return Sender(federated_id=identity.federated_id, serial=identity.serial)


class _Push:
    """One stream of one agent: what was said hello to, and what waits to be stored."""

    def __init__(self, pushes: LogPushService, sender: Sender, context: Context) -> None:
        self._pushes = pushes
        self._sender = sender
        self._context = context
        self._runs: dict[str, str] = {}
        # Where the next chunk of each log has to begin.
        self._next: dict[str, int] = {}
        self._full: set[str] = set()
        self._waiting: list[tuple[str, LogChunk]] = []
        self._closed: list[LogClosed] = []
        self._storing = asyncio.Lock()
        self._answering = asyncio.Lock()
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()

    async def greet(self, hello: pb.LogHello) -> None:
        """Answer with where these logs end."""
        ends, runs = await self._pushes.open(self._sender, list(hello.party_run_ids))
        self._runs.update(runs)
        for end in ends:
            self._note(end)
            self._next[end.party_run_id] = end.end
        await self._answer(ends)

    async def read(self, requests: AsyncIterator[pb.PushLogsRequest]) -> None:
        """Take messages until the agent has no more, no faster than they are stored."""
        async for message in requests:
            match message.WhichOneof("body"):
                case "hello":
                    await self.greet(message.hello)
                case "chunk":
                    self._take(decode_log_chunk(message.chunk))
                case "closed":
                    self._close(decode_log_closed(message.closed))
            self._arrived.set()
            while len(self._waiting) >= _MAX_WAITING:
                self._taken.clear()
                await self._taken.wait()
        await self._store_all()

    async def store(self) -> None:
        """Store what was read, all that waits at a time."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            await self._store_all()

    async def _store_all(self) -> None:
        # One at a time: what came later must not be stored before what came first.
        async with self._storing:
            while self._waiting or self._closed:
                chunks, self._waiting = self._waiting, []
                closed, self._closed = self._closed, []
                self._taken.set()
                ends = await self._pushes.append(self._sender, chunks) if chunks else []
                ends += [await self._pushes.close(self._sender, one) for one in closed]
                for end in ends:
                    self._note(end)
                await self._answer(ends)

    def _take(self, chunk: LogChunk) -> None:
        run_id = self._runs.get(chunk.party_run_id)
        if run_id is None or self._next[chunk.party_run_id] != chunk.start:
            raise out_of_place(chunk.party_run_id)
        if chunk.party_run_id in self._full:
            # It was on its way before the agent could know.
            return
        self._next[chunk.party_run_id] = chunk.end
        self._waiting.append((run_id, chunk))

    def _close(self, closed: LogClosed) -> None:
        if closed.party_run_id not in self._runs:
            raise out_of_place(closed.party_run_id)
        self._closed.append(closed)

    def _note(self, end: LogEnd) -> None:
        if end.state is not LogState.OPEN:
            self._full.add(end.party_run_id)

    async def _answer(self, ends: list[LogEnd]) -> None:
        if ends:
            message = pb.PushLogsResponse(ends=[encode_log_end(end) for end in ends])
            async with self._answering:
                await self._context.write(message)
