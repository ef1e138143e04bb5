"""The two drivers of scripts: blocking gRPC and gRPC on asyncio. They decide nothing."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
from grpc import aio

from flow_contract.errors import FlowError
from flow_server_sdk import handshake, traces
from flow_server_sdk.address import is_loopback
from flow_server_sdk.credentials import Credentials
from flow_server_sdk.scripts import (
    Give,
    Items,
    Next,
    Open,
    Pause,
    Probe,
    Script,
    Send,
    Step,
    Tell,
    Work,
)
from flow_server_sdk.shapes import Answer


def channel_options(address: str) -> list[tuple[str, Any]]:
    """Return how a channel to `address` behaves."""
    options: list[tuple[str, Any]] = [
        # A full page of templates may be larger than gRPC's 4 MiB, and the server is trusted.
        ("grpc.max_receive_message_length", -1),
        # Retries are spaced by the scripts; the channel must be ready to dial when they come.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2000),
        # Finds a server that vanished while a wait is open; pings only while a call is.
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        # Without it the answer to a ping is awaited for a minute.
        ("grpc.http2.ping_timeout_ms", 20_000),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if is_loopback(address):
        # No proxy leads to this machine's own ports, whatever the environment says.
        options.append(("grpc.enable_http_proxy", 0))
    return options


class BlockingDriver:
    """Carries scripts out on the caller's thread; may be shared between threads."""

    def __init__(self, address: str, how: Credentials) -> None:
        self._address = address
        self._how = how
        options = channel_options(address)
        self._channel = (
            grpc.secure_channel(address, _tls(how), options=options)
            if how.uses_tls
            else grpc.insecure_channel(address, options=options)
        )
        self._closed = False

    def run(self, script: Script) -> Answer:
        """Take the script's steps and return its answer."""
        outcome: Any = None
        error: grpc.RpcError | FlowError | None = None
        try:
            while True:
                try:
                    step = script.send(outcome) if error is None else script.throw(error)
                except StopIteration as end:
                    return _answer(end)
                outcome, error = self._take(step)
        finally:
            script.close()

    def iterate(self, script: Items) -> Iterator[Any]:
        """Take the script's steps and yield what it gives."""
        outcome: Any = None
        error: grpc.RpcError | FlowError | None = None
        try:
            while True:
                try:
                    step = script.send(outcome) if error is None else script.throw(error)
                except StopIteration:
                    return
                outcome, error = None, None
                if isinstance(step, Give):
                    yield from step.items
                else:
                    outcome, error = self._take(step)
        finally:
            script.close()

    def close(self) -> None:
        """Close the connection; twice is once."""
        self._closed = True
        self._channel.close()

    def _take(self, step: Step) -> tuple[Any, grpc.RpcError | FlowError | None]:
        if self._closed:
            raise RuntimeError("this FlowServerSdk is closed; make a new one")
        if isinstance(step, Tell):
            # Not among the steps whose gRPC error is the script's: the user's own may raise one.
            return step.listener(step.data), None
        try:
            return self._touch(step), None
        except (grpc.RpcError, FlowError) as error:
            return None, error

    def _touch(self, step: Send | Open | Next | Pause | Probe | Work) -> Any:
        match step:
            case Send():
                unary = self._channel.unary_unary(
                    step.method.path,
                    request_serializer=type(step.request).SerializeToString,
                    response_deserializer=step.method.response.FromString,
                )
                return unary(
                    step.request,
                    timeout=step.timeout_s,
                    metadata=(*self._how.metadata, *traces.headers()),
                )
            case Open():
                stream = self._channel.unary_stream(
                    step.method.path,
                    request_serializer=type(step.request).SerializeToString,
                    response_deserializer=step.method.response.FromString,
                )
                return stream(
                    step.request,
                    timeout=step.timeout_s,
                    metadata=(*self._how.metadata, *traces.headers()),
                )
            case Next():
                return next(step.stream, None)
            case Pause():
                time.sleep(step.seconds)
                return None
            case Probe():
                return handshake.problem(self._address, self._how)
            case Work():
                return step.call()


class AsyncDriver:
    """Carries scripts out on the event loop of the first call, to which it then belongs."""

    def __init__(self, address: str, how: Credentials) -> None:
        self._address = address
        self._how = how
        self._channel: aio.Channel | None = None
        self._closed = False

    async def run(self, script: Script) -> Answer:
        """Take the script's steps and return its answer."""
        outcome: Any = None
        error: grpc.RpcError | FlowError | None = None
        try:
            while True:
                try:
                    step = script.send(outcome) if error is None else script.throw(error)
                except StopIteration as end:
                    return _answer(end)
                outcome, error = await self._take(step)
        finally:
            script.close()

    async def iterate(self, script: Items) -> AsyncIterator[Any]:
        """Take the script's steps and yield what it gives."""
        outcome: Any = None
        error: grpc.RpcError | FlowError | None = None
        try:
            while True:
                try:
                    step = script.send(outcome) if error is None else script.throw(error)
                except StopIteration:
                    return
                outcome, error = None, None
                if isinstance(step, Give):
                    for item in step.items:
                        yield item
                else:
                    outcome, error = await self._take(step)
        finally:
            script.close()

    async def close(self) -> None:
        """Close the connection; twice is once."""
        self._closed = True
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

    async def _take(self, step: Step) -> tuple[Any, grpc.RpcError | FlowError | None]:
        if self._closed:
            raise RuntimeError("this AsyncFlowServerSdk is closed; make a new one")
        if isinstance(step, Tell):
            told = step.listener(step.data)
            return (await told if inspect.isawaitable(told) else told), None
        try:
            return await self._touch(step), None
        except (grpc.RpcError, FlowError) as error:
            return None, error

    async def _touch(self, step: Send | Open | Next | Pause | Probe | Work) -> Any:
        match step:
            case Send():
                unary: Any = self._connected().unary_unary(
                    step.method.path,
                    request_serializer=type(step.request).SerializeToString,
                    response_deserializer=step.method.response.FromString,
                )
                return await unary(
                    step.request,
                    timeout=step.timeout_s,
                    metadata=(*self._how.metadata, *traces.headers()),
                )
            case Open():
                stream: Any = self._connected().unary_stream(
                    step.method.path,
                    request_serializer=type(step.request).SerializeToString,
                    response_deserializer=step.method.response.FromString,
                )
                return stream(
                    step.request,
                    timeout=step.timeout_s,
                    metadata=(*self._how.metadata, *traces.headers()),
                )
            case Next():
                reply = await step.stream.read()
                return None if reply is aio.EOF else reply
            case Pause():
                await asyncio.sleep(step.seconds)
                return None
            case Probe():
                return await asyncio.to_thread(handshake.problem, self._address, self._how)
            case Work():
                return await asyncio.to_thread(step.call)

    def _connected(self) -> aio.Channel:
        # Late, because a channel belongs to the loop that runs when it is made.
        if self._channel is None:
            options = channel_options(self._address)
            self._channel = (
                aio.secure_channel(self._address, _tls(self._how), options=options)
                if self._how.uses_tls
                else aio.insecure_channel(self._address, options=options)
            )
        return self._channel


def _tls(how: Credentials) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(root_certificates=how.ca_pem)


def _answer(end: StopIteration) -> Answer:
    answer: Answer = end.value
    return answer
