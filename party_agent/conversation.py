"""One session's messages each way; that it ended is an exception, whoever notices it."""

import asyncio
from typing import cast

import grpc.aio

from flow_wire import agents_pb2

Call = grpc.aio.StreamStreamCall[agents_pb2.AgentMessage, agents_pb2.ServerMessage]

_NO_MESSAGE = "the server sent bytes that are no message"


class SessionEnded(Exception):
    """The server closed the stream, or broke the protocol; the message says which."""


async def read(call: Call) -> agents_pb2.ServerMessage:
    """Return the next message. Raises SessionEnded, or the call's status."""
    message = await call.read()
    if message is grpc.aio.EOF or message is None:
        raise SessionEnded(_NO_MESSAGE if message is None else "the server closed the stream")
    return cast(agents_pb2.ServerMessage, message)


async def write(call: Call, message: agents_pb2.AgentMessage) -> None:
    """Send a message. Raises SessionEnded, or the call's status."""
    try:
        await call.write(message)
    except asyncio.InvalidStateError:
        # The call has ended; reading is how one learns with which status.
        await read(call)
        raise SessionEnded("the call ended while the agent was writing") from None
