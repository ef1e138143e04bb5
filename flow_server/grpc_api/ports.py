"""Which services are answered at which port: agents' at theirs, all others at the users'.

What a port doesn't offer is refused before anything is read. Who the caller is and what he may
do are asked after that.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import grpc

from flow_contract.errors import Forbidden, Kind, Unauthenticated
from flow_server.grpc_api.certificates import caller_from_certificate
from flow_server.grpc_api.context import Context

_OWN_PREFIX = "/fedflow.v1."
_OF_AGENTS = (
    "/fedflow.v1.AgentService/",
    "/fedflow.v1.LogService/Push",
    "/fedflow.v1.MetricService/Push",
    "/fedflow.v1.OutputService/Push",
    "/fedflow.v1.TunnelService/",
)

_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"


class PortInterceptor(grpc.aio.ServerInterceptor):
    """Refuses calls at the wrong port; health and reflection are answered at both."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler:
        """Return the handler behind a check of the port."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or not method.startswith(_OWN_PREFIX):
            return handler
        check = _agents_only if method.startswith(_OF_AGENTS) else _users_only
        deserializer, serializer = handler.request_deserializer, handler.response_serializer
        # grpc's types describe the blocking handlers; the ones of grpc.aio are coroutines.
        call: Any = handler.stream_stream or handler.unary_stream or handler.unary_unary
        if handler.stream_stream is not None:
            return grpc.stream_stream_rpc_method_handler(
                _awaited(check, call), deserializer, serializer
            )
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(
                _iterated(check, call), deserializer, serializer
            )
        return grpc.unary_unary_rpc_method_handler(_awaited(check, call), deserializer, serializer)


def _awaited(check: Callable[[Context], None], call: Callable[..., Awaitable[Any]]) -> Any:
    async def handle(request: Any, context: Context) -> Any:
        check(context)
        return await call(request, context)

    return handle


def _iterated(check: Callable[[Context], None], call: Callable[..., Any]) -> Any:
    def handle(request: Any, context: Context) -> AsyncIterator[Any]:
        check(context)
        answers: AsyncIterator[Any] = call(request, context)
        return answers

    return handle


def _agents_only(context: Context) -> None:
    if caller_from_certificate(context.auth_context()) is None:
        raise Unauthenticated(
            "agents are served at the port for agents, and prove themselves by their "
            "certificate; 'fedflow agent enrol' gets one",
            kind=Kind.PARTY,
        )


def _users_only(context: Context) -> None:
    if context.auth_context().get("x509_pem_cert"):
        raise Forbidden(
            "this is the port for agents; users' calls are answered at the other one",
            kind=Kind.REQUEST,
        )
