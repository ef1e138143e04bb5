"""The agent's side of a push and a user's of a reading, driven by a test over real connections."""

import grpc
import zstandard

from flow_contract.log_records import LogRecord, LogStream, at_of, extent, frame, records
from flow_contract.logs import LogChunk, LogClosed, LogRequest
from flow_wire import logs_pb2 as pb
from flow_wire import logs_pb2_grpc
from flow_wire.codec.logs import (
    decode_log_chunk,
    decode_log_end,
    decode_log_head,
    encode_log_chunk,
    encode_log_closed,
    encode_log_request,
)


def chunk_of(party_run_id, start, *lines, at_us=1_000_000, stream=LogStream.STDOUT):
    """Return a chunk with one record per line, a microsecond apart."""
    raw = b"".join(
        frame(LogRecord(stream=stream, at_us=at_us + place, data=line))
        for place, line in enumerate(lines)
    )
    found = extent(raw)
    return LogChunk(
        party_run_id=party_run_id,
        start=start,
        raw_bytes=len(raw),
        first_at=at_of(found.first_at_us),
        last_at=at_of(found.last_at_us),
        lines=found.lines,
        data=zstandard.compress(raw),
    )


class Pusher:
    """One push stream of one party."""

    def __init__(self, address, federated_id, *, credentials=None):
        self._address = address
        self._federated_id = federated_id
        self._credentials = credentials

    async def __aenter__(self):
        self._channel = (
            grpc.aio.insecure_channel(self._address)
            if self._credentials is None
            else grpc.aio.secure_channel(self._address, self._credentials)
        )
        self.call = logs_pb2_grpc.LogServiceStub(self._channel).Push()
        return self

    async def __aexit__(self, *_error):
        self.call.cancel()
        await self._channel.close()

    async def hello(self, *party_run_ids):
        """Return {party run: its end}."""
        await self.call.write(
            pb.PushLogsRequest(
                hello=pb.LogHello(federated_id=self._federated_id, party_run_ids=party_run_ids)
            )
        )
        return await self.answer()

    async def answer(self):
        wire = await self.call.read()
        if wire is grpc.aio.EOF:
            raise AssertionError(f"{await self.call.code()}: {await self.call.details()}")
        ends = [decode_log_end(end) for end in wire.ends]
        return {end.party_run_id: end for end in ends}

    async def send(self, chunk):
        await self.call.write(pb.PushLogsRequest(chunk=encode_log_chunk(chunk)))

    async def push(self, chunk):
        """Send one chunk and return its log's end once that is stored."""
        await self.send(chunk)
        return (await self.answer())[chunk.party_run_id]

    async def close(self, party_run_id, end, *, withheld=False):
        closed = LogClosed(party_run_id=party_run_id, end=end, withheld=withheld)
        await self.call.write(pb.PushLogsRequest(closed=encode_log_closed(closed)))
        return (await self.answer())[party_run_id]

    async def refused(self):
        """Wait for the server to end the stream; return its status code."""
        return await self.call.code()


class Reading:
    """What a reader got so far."""

    def __init__(self, call):
        self.call = call
        self.head = None
        self.chunks = []
        self.caught_up = 0

    async def until_caught_up(self):
        """Read to the next moment at which nothing more was there."""
        async for wire in self.call:
            match wire.WhichOneof("body"):
                case "head":
                    self.head = decode_log_head(wire.head)
                case "chunk":
                    self.chunks.append(decode_log_chunk(wire.chunk))
                case _:
                    self.caught_up += 1
                    return True
        return False

    async def to_the_end(self):
        while await self.until_caught_up():
            pass
        return self

    def text(self, party_run_id=None):
        """Return what was written, in the order in which it came."""
        return b"".join(
            record.data
            for chunk in self.chunks
            if party_run_id in (None, chunk.party_run_id)
            for record in records(zstandard.decompress(chunk.data))
        )


class Reader:
    """A user who reads logs."""

    def __init__(self, address):
        self._channel = grpc.aio.insecure_channel(address)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_error):
        await self._channel.close()

    def read(self, task_id, **request):
        stub = logs_pb2_grpc.LogServiceStub(self._channel)
        return Reading(stub.Read(encode_log_request(LogRequest(task_id=task_id, **request))))
