"""The one place where errors leave the server: catalogue errors to gRPC status, one log line.

Unknown exceptions become `Internal` with an incident id; their text stays in the log.
"""

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, Self, TypeAlias

import grpc
import structlog
from google.protobuf.message import Message
from grpc_status import rpc_status

from flow_contract.errors import FlowError, Internal, Kind, Unavailable
from flow_server.grpc_api.context import Context
from flow_wire.codec.errors import encode_error
from flow_wire.codec.unknown_fields import reject_unknown_fields

log = structlog.get_logger()

_OWN_PREFIX = "/fedflow.v1."


_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"
# Lets a call of `Service/Method` in, or raises.
Admit: TypeAlias = Callable[[str, Context], Awaitable[None]]
# Of a call's end: its name, request and answer where there is one of each, the error if any.
Note: TypeAlias = Callable[[str, Message | None, Message | None, FlowError | None], Awaitable[None]]


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every handler of ours; health and reflection pass untouched.

    `admit` comes first, and raises if the call may not be made. `note` hears of its end before
    the caller does.
    """

    def __init__(self, admit: Admit, note: Note) -> None:
        self._admit = admit
        self._note = note

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler:
        """Return the handler, wrapped according to its kind."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or not method.startswith(_OWN_PREFIX):
            return handler
        name = method.removeprefix(_OWN_PREFIX)
        deserializer, serializer = handler.request_deserializer, handler.response_serializer
        # grpc's types describe the blocking handlers; the ones of grpc.aio are coroutines.
        call: Any = handler.stream_stream or handler.unary_stream or handler.unary_unary
        if handler.stream_stream is not None:
            return grpc.stream_stream_rpc_method_handler(
                _both_ways(name, self._admit, self._note, call), deserializer, serializer
            )
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(
                _answer_stream(name, self._admit, self._note, call), deserializer, serializer
            )
        return grpc.unary_unary_rpc_method_handler(
            _unary(name, self._admit, self._note, call), deserializer, serializer
        )


def _unary(name: str, admit: Admit, note: Note, call: Callable[..., Awaitable[Any]]) -> Any:
    async def handle(request: Message, context: Context) -> Any:
        async with _Outcome(name, context, note) as outcome:
            outcome.request = request
            await admit(name, context)
            reject_unknown_fields(request)
            answer = outcome.answer = await call(request, context)
            return answer

    return handle


def _answer_stream(
    name: str, admit: Admit, note: Note, call: Callable[..., AsyncGenerator[Any, None]]
) -> Any:
    async def handle(request: Message, context: Context) -> AsyncIterator[Any]:
        async with _Outcome(name, context, note):
            await admit(name, context)
            reject_unknown_fields(request)
            # Closed here and now, not whenever the garbage collector comes by.
            async with contextlib.aclosing(call(request, context)) as responses:
                async for response in responses:
                    yield response

    return handle


def _both_ways(name: str, admit: Admit, note: Note, call: Callable[..., Awaitable[None]]) -> Any:
    async def handle(requests: AsyncIterator[Any], context: Context) -> None:
        async with _Outcome(name, context, note):
            await admit(name, context)
            await call(requests, context)

    return handle


class _Outcome:
    """Logs one line per call, has it noted, and turns its exception into a status."""

    def __init__(self, name: str, context: Context, note: Note) -> None:
        self.request: Message | None = None
        self.answer: Message | None = None
        self._name = name
        self._note = note
        self._context = context
        # Asked now: grpc crashes the process when asked about a call that is gone, and an answer
        # stream that the client left is closed only later, by the garbage collector.
        self._peer = context.peer()
        self._began_s = time.perf_counter()

    async def __aenter__(self) -> Self:
        structlog.contextvars.bind_contextvars(rpc=self._name)
        return self

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is None:
            await self._note(self._name, self.request, self.answer, None)
            self._finished("OK")
            return
        if isinstance(error, asyncio.CancelledError | GeneratorExit):
            # What it was about to do may be done all the same: nobody can tell any more.
            left = Unavailable("the caller left", kind=Kind.REQUEST)
            await asyncio.shield(self._note(self._name, self.request, None, left))
            self._finished("CANCELLED")
            return
        known = error if isinstance(error, FlowError) else self._incident(error)
        await self._note(self._name, self.request, None, known)
        self._finished(known.code, message=known.message)
        await self._context.abort_with_status(rpc_status.to_status(encode_error(known)))

    def _incident(self, error: BaseException) -> Internal:
        incident_id = uuid.uuid4().hex[:12]
        log.error("incident_raised", incident_id=incident_id, exc_info=error)
        return Internal(
            f"internal error; tell the server's operator incident {incident_id}",
            kind=Kind.SERVER,
            subject_id=incident_id,
        )

    def _finished(self, code: str, **more: str) -> None:
        elapsed_ms = round((time.perf_counter() - self._began_s) * 1000, 1)
        log.info("rpc_finished", code=code, elapsed_ms=elapsed_ms, peer=self._peer, **more)
