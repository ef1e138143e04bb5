"""How calls come in: counted first, then their request is read, within a time.

gRPC itself reads a request before it asks anybody, and waits for it without end. Here every
handler is given to it as one that reads for itself, which is the same on the wire.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError
from grpc_status import rpc_status

from flow_contract.errors import FlowError, InvalidArgument, Kind
from flow_server.grpc_api.context import Context
from flow_server.grpc_api.rates import Counter, visitor_of
from flow_wire.codec.errors import encode_error

_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"


class IntakeInterceptor(grpc.aio.ServerInterceptor):
    """Stands before all others, and before every service, also those that are not ours.

    A single request must be there within `request_timeout_s` of its call's beginning.
    """

    def __init__(self, counter: Counter, *, request_timeout_s: float) -> None:
        self._counter = counter
        self._request_timeout_s = request_timeout_s

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler:
        """Return the handler behind the count."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        call: Any = (
            handler.stream_stream
            or handler.stream_unary
            or handler.unary_stream
            or handler.unary_unary
        )

        async def answer(requests: AsyncIterator[Any], context: Context) -> Any:
            request: Any = _Readable(requests)
            if not handler.request_streaming:
                request = await self._only_one(request)
            if not handler.response_streaming:
                return await call(request, context)
            written = call(request, context)
            if not hasattr(written, "__aiter__"):
                return await written
            async with contextlib.aclosing(written) as responses:
                async for response in responses:
                    await context.write(response)
            return None

        handle = self._counted(method, answer)
        make = (
            grpc.stream_stream_rpc_method_handler
            if handler.response_streaming
            else grpc.stream_unary_rpc_method_handler
        )
        return make(handle, handler.request_deserializer, handler.response_serializer)

    def _counted(
        self, method: str, answer: Callable[[AsyncIterator[Any], Context], Awaitable[Any]]
    ) -> Any:
        async def handle(requests: AsyncIterator[Any], context: Context) -> Any:
            # Asked now: grpc ends the process when it is asked about a call that is gone.
            visitor = visitor_of(context)
            try:
                with self._counter.call(method, visitor):
                    try:
                        return await answer(requests, context)
                    finally:
                        # Within, errors have become statuses already.
                        if context.code() is grpc.StatusCode.UNAUTHENTICATED:
                            self._counter.ended_unproven(method, visitor)
            except FlowError as error:
                await context.abort_with_status(rpc_status.to_status(encode_error(error)))

        return handle

    async def _only_one(self, requests: "_Readable") -> Any:
        try:
            async with asyncio.timeout(self._request_timeout_s):
                return await anext(requests)
        except TimeoutError:
            raise InvalidArgument(
                f"the request did not arrive within {self._request_timeout_s:g} s of its call",
                kind=Kind.REQUEST,
                field="request",
            ) from None
        except StopAsyncIteration:
            raise InvalidArgument(
                "the call ended without a request", kind=Kind.REQUEST, field="request"
            ) from None


class _Readable:
    """Requests, of which one that can't be decoded is the caller's fault and said so."""

    def __init__(self, requests: AsyncIterator[Any]) -> None:
        self._requests = aiter(requests)

    def __aiter__(self) -> "_Readable":
        return self

    async def __anext__(self) -> Any:
        try:
            return await anext(self._requests)
        except DecodeError:
            raise InvalidArgument(
                "these bytes are no message of this call's kind", kind=Kind.REQUEST, field="request"
            ) from None
