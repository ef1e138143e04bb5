"""A gRPC server that answers what it is told to, and remembers what it was asked.

Not a twin of the real server: it knows no rule, it only plays a list of replies per call.
"""

import contextlib
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import Message

from flow_contract.errors import FlowError
from flow_server_sdk import methods
from flow_server_sdk.methods import Method
from flow_wire import (
    audit_pb2,
    outputs_pb2,
    parties_pb2,
    runs_pb2,
    tasks_pb2,
    templates_pb2,
    users_pb2,
)
from flow_wire.codec.errors import encode_error

_FILES = (
    templates_pb2,
    tasks_pb2,
    runs_pb2,
    parties_pb2,
    users_pb2,
    audit_pb2,
    outputs_pb2,
)


def request_class(method: Method) -> type[Message]:
    """Return the class that the proto names as the call's request."""
    _, service, name = method.path.split("/")
    for file in _FILES:
        found = file.DESCRIPTOR.services_by_name.get(service.rpartition(".")[2])
        if found is not None:
            return getattr(file, found.methods_by_name[name].input_type.name)
    raise LookupError(method.path)


ALL_METHODS = [value for value in vars(methods).values() if isinstance(value, Method)]


@dataclass(frozen=True)
class Status:
    """A reply that is a bare gRPC status, as a proxy or gRPC itself would send it."""

    code: grpc.StatusCode
    details: str = ""


@dataclass(frozen=True)
class Hang:
    """A reply that never comes: the call lasts until the client gives it up."""


Reply = Message | FlowError | Status | Hang | list
LOST = Status(grpc.StatusCode.UNAVAILABLE, "scripted loss")


class ScriptedServer:
    """Plays `replies` per method, the last one again and again; a list is a stream."""

    def __init__(self) -> None:
        self.requests: dict[str, list[Any]] = defaultdict(list)
        self.timeouts_s: list[float | None] = []
        self.abandoned = threading.Event()
        self._replies: dict[str, deque[Reply]] = {}
        self._server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
        self._server.add_generic_rpc_handlers((_Handlers(self._handler),))
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def replies(self, method: Method, *replies: Reply) -> None:
        self._replies[method.path] = deque(replies)

    def asked(self, method: Method) -> list[Any]:
        return self.requests[method.path]

    def stop(self) -> None:
        self._server.stop(grace=None).wait()

    def _handler(self, path: str) -> grpc.RpcMethodHandler | None:
        method = next((method for method in ALL_METHODS if method.path == path), None)
        if method is None or path not in self._replies:
            return None
        make = (
            grpc.unary_stream_rpc_method_handler
            if method is methods.WAIT_TASK
            else grpc.unary_unary_rpc_method_handler
        )
        behaviour: Callable[..., Any] = (
            self._stream if method is methods.WAIT_TASK else self._answer
        )
        return make(
            lambda request, context: behaviour(path, request, context),
            request_deserializer=request_class(method).FromString,
            response_serializer=type(self).serialize,
        )

    @staticmethod
    def serialize(message: Message) -> bytes:
        return message.SerializeToString()

    def _next(self, path: str, request: Message, context: grpc.ServicerContext) -> Reply:
        self.requests[path].append(request)
        self.timeouts_s.append(context.time_remaining())
        replies = self._replies[path]
        reply = replies.popleft() if len(replies) > 1 else replies[0]
        hangs = any(
            isinstance(item, Hang) for item in (reply if isinstance(reply, list) else [reply])
        )
        # At the start of the call: a client that gives up early may be gone before its hang.
        if hangs and not context.add_callback(self.abandoned.set):
            self.abandoned.set()
        return reply

    def _answer(self, path: str, request: Message, context: grpc.ServicerContext) -> Message:
        return self._play(self._next(path, request, context), context)

    def _stream(
        self, path: str, request: Message, context: grpc.ServicerContext
    ) -> Iterator[Message]:
        reply = self._next(path, request, context)
        for item in reply if isinstance(reply, list) else [reply]:
            yield self._play(item, context)

    def _play(self, reply: Reply, context: grpc.ServicerContext) -> Message:
        if isinstance(reply, Hang):
            self.abandoned.wait()
            return context.abort(grpc.StatusCode.CANCELLED, "nobody waits any more")
        if isinstance(reply, Status):
            context.abort(reply.code, reply.details)
        if isinstance(reply, FlowError):
            status = encode_error(reply)
            context.set_trailing_metadata(
                (("grpc-status-details-bin", status.SerializeToString()),)
            )
            context.abort(
                next(code for code in grpc.StatusCode if code.value[0] == status.code),
                status.message,
            )
        return reply


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, find: Callable[[str], grpc.RpcMethodHandler | None]) -> None:
        self._find = find

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return self._find(details.method)


@contextlib.contextmanager
def scripted_server() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    try:
        yield server
    finally:
        server.abandoned.set()
        server.stop()
