"""EventService on gRPC: decode, one use case, encode; and the end of who does not read."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Self

from grpc_status import rpc_status

from flow_server.grpc_api import callers
from flow_server.grpc_api.context import Context
from flow_server.services.event_watches import Batch, EventWatchService, MakeError
from flow_wire import events_pb2 as pb
from flow_wire import events_pb2_grpc
from flow_wire.codec.errors import encode_error
from flow_wire.codec.events import decode_event_request, encode_event

# How long a watcher with too much waiting has to read what it was sent before.
_GRACE_S = 5.0


class EventServicer(events_pb2_grpc.EventServiceServicer):
    """See proto/events.proto for each call's errors."""

    def __init__(self, watches: EventWatchService, *, grace_s: float = _GRACE_S) -> None:
        self._watches = watches
        self._grace_s = grace_s

    async def Watch(
        self, request: pb.WatchEventsRequest, context: Context
    ) -> AsyncGenerator[pb.WatchEventsResponse, None]:
        calling = callers.calling()
        with _Ending(context, self._grace_s) as ending:
            async with contextlib.aclosing(
                self._watches.watch(
                    decode_event_request(request),
                    caller=calling.caller,
                    again=calling.again,
                    on_drop=ending.begin,
                )
            ) as batches:
                async for batch in batches:
                    yield _encode(batch)


class _Ending:
    """Ends a call whose write never ends: its own code does not come to it."""

    def __init__(self, context: Context, grace_s: float) -> None:
        self._context = context
        self._grace_s = grace_s
        self._timer: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        self._call = asyncio.current_task()
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def begin(self, make_error: MakeError) -> None:
        """End the call with this error, unless it ends by itself soon."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._grace_s, self._end, make_error)

    def _end(self, make_error: MakeError) -> None:
        self._ending = asyncio.create_task(self._abort(make_error))

    async def _abort(self, make_error: MakeError) -> None:
        status = rpc_status.to_status(encode_error(make_error()))
        # Told once the client reads on, if it ever does; what the call holds goes now.
        with contextlib.suppress(Exception):
            await self._context.abort_with_status(status)
        if self._call is not None:
            self._call.cancel()


def _encode(batch: Batch) -> pb.WatchEventsResponse:
    return pb.WatchEventsResponse(
        events=[encode_event(event) for event in batch.events], token=batch.token
    )
