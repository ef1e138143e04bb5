"""A watch of events over a real connection, as any gRPC client would open it."""

import asyncio

import grpc

from flow_wire import events_pb2 as pb
from flow_wire import events_pb2_grpc


class RawWatch:
    """One stream; `events` is what was read, `token` where it goes on."""

    def __init__(self, address, *, options=(), **request):
        self._channel = grpc.aio.insecure_channel(address, options=options)
        stub = events_pb2_grpc.EventServiceStub(self._channel)
        self.call = stub.Watch(pb.WatchEventsRequest(**request))
        self.events = []
        self.token = ""

    async def read(self):
        """Read one message."""
        message = await self.call.read()
        if message is grpc.aio.EOF:
            raise EOFError(await self.call.code())
        self.events.extend(message.events)
        self.token = message.token
        return message

    async def until(self, condition, timeout_s=30):
        async with asyncio.timeout(timeout_s):
            while not condition(self.events):
                await self.read()
        return self.events

    async def close(self):
        self.call.cancel()
        await self._channel.close()


def told(events):
    """What each says, without ids and times."""
    return [(event.side, event.from_value, event.to_value) for event in events]


async def rows_in_order(engine):
    """The ids of all events, in the order in which they are to be told."""
    async with engine.connect() as connection:
        found = await connection.exec_driver_sql(
            "SELECT event_id FROM feed_events ORDER BY transaction_id, event_id"
        )
        return list(found.scalars())
