"""EventService on gRPC: decode, one use case, encode; and the end of who does not read."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator

import grpc
import structlog
from grpc_status import rpc_status

from flow_contract.errors import Exhausted, Kind
from flow_server.grpc_api import callers
from flow_server.grpc_api.context import Context
from flow_server.services.event_watches import Batch, EventWatchService
from flow_wire import events_pb2 as pb
from flow_wire import events_pb2_grpc
from flow_wire.codec.errors import encode_error
from flow_wire.codec.events import decode_event_request, encode_event

log = structlog.get_logger()

# How long a watcher may leave what it was sent unread.
STALL_S = 60.0


class EventServicer(events_pb2_grpc.EventServiceServicer):
    """See proto/events.proto for each call's errors."""

    def __init__(self, watches: EventWatchService, *, stall_s: float = STALL_S) -> None:
        self._watches = watches
        self._stall_s = stall_s

    async def Watch(
        self, request: pb.WatchEventsRequest, context: Context
    ) -> AsyncGenerator[pb.WatchEventsResponse, None]:
        calling = callers.calling()
        stall = _Stall(context, self._stall_s)
        async with contextlib.aclosing(
            self._watches.watch(
                decode_event_request(request), caller=calling.caller, again=calling.again
            )
        ) as batches:
            async for batch in batches:
                with stall.watched(batch.token):
                    yield _encode(batch)


class _Stall:
    """Ends a call whose write is not taken: its own code waits in that write, and can't."""

    def __init__(self, context: Context, stall_s: float) -> None:
        self._context = context
        self._stall_s = stall_s
        self._ending: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def watched(self, token: str) -> Iterator[None]:
        """Give the block so long, which sends what `token` goes on after."""
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._stall_s, self._end, asyncio.current_task(), token)
        try:
            yield
        finally:
            timer.cancel()
        if self._ending is not None:
            # It reads on, and the status is on its way behind what it was sent.
            raise asyncio.CancelledError

    def _end(self, call: asyncio.Task[None] | None, token: str) -> None:
        error = Exhausted(
            "this watch was ended because it did not read what it was sent; begin again with "
            f"the last token that you have read, or {token} if you read all of it",
            kind=Kind.REQUEST,
            subject_id=token,
            field="token",
        )
        log.warning("watcher_ended", stall_s=self._stall_s, peer=self._context.peer())
        self._ending = asyncio.create_task(self._abort(rpc_status.to_status(encode_error(error))))
        if call is not None:
            # Told once it reads on, if it does; what the call holds is not kept for ever.
            timer = asyncio.get_running_loop().call_later(self._stall_s, call.cancel)
            self._ending.add_done_callback(lambda _: timer.cancel())

    async def _abort(self, status: grpc.Status) -> None:
        # Aborting always raises, to end the handler that calls it: here none does.
        with contextlib.suppress(Exception):
            await self._context.abort_with_status(status)


def _encode(batch: Batch) -> pb.WatchEventsResponse:
    return pb.WatchEventsResponse(
        events=[encode_event(event) for event in batch.events], token=batch.token
    )
