"""Has every call observed from outside: before it is counted against limits, until its status.

Stands before all other interceptors, so that what they refuse is seen too.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc

from flow_server.grpc_api.context import Context

_OWN_PREFIX = "/fedflow.v1."
_TRACEPARENT = "traceparent"
# Health, reflection, and what does not exist: a caller must not be able to invent names.
OTHER = "other"

_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"


@dataclass(kw_only=True)
class Call:
    """One call; `code` is known at its end. `lasts`: its answer is a stream.

    `method` is `Service/Method` of ours, or OTHER. `traceparent` is as the caller sent it.
    """

    method: str
    lasts: bool
    traceparent: str = ""
    code: str = "UNKNOWN"


# Entered when a call begins, and left when it has its code.
Watch: TypeAlias = Callable[[Call], AbstractContextManager[None]]


class ObservingInterceptor(grpc.aio.ServerInterceptor):
    """Wraps the handlers as `IntakeInterceptor` makes them: all read their requests themselves."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler:
        """Return the handler, observed."""
        handler = await continuation(handler_call_details)
        if handler is None:
            with self._watch(Call(method=OTHER, lasts=False, code="UNIMPLEMENTED")):
                return None
        method = handler_call_details.method
        name = method.removeprefix(_OWN_PREFIX) if method.startswith(_OWN_PREFIX) else OTHER
        lasts = bool(handler.response_streaming)
        inner: Any = handler.stream_stream or handler.stream_unary
        traceparent = _traceparent(handler_call_details)

        async def handle(requests: AsyncIterator[Any], context: Context) -> Any:
            call = Call(method=name, lasts=lasts, traceparent=traceparent)
            with self._watch(call):
                try:
                    answer = await inner(requests, context)
                except BaseException as error:
                    call.code = _code_of(context, error)
                    raise
                call.code = _code_of(context, None)
                return answer

        make = (
            grpc.stream_stream_rpc_method_handler if lasts else grpc.stream_unary_rpc_method_handler
        )
        return make(handle, handler.request_deserializer, handler.response_serializer)


def _traceparent(details: grpc.HandlerCallDetails) -> str:
    for key, value in details.invocation_metadata or ():
        if key == _TRACEPARENT:
            return value if isinstance(value, str) else ""
    return ""


def _code_of(context: Context, error: BaseException | None) -> str:
    code: Any = context.code()
    if isinstance(code, grpc.StatusCode) and (error is None or code is not grpc.StatusCode.OK):
        return code.name
    if error is None:
        return "OK" if not code else "UNKNOWN"
    # The caller left, or its deadline came: it is told nothing any more.
    return "UNKNOWN" if isinstance(error, Exception) else "CANCELLED"
