"""The agent's side of a push of outputs, and a user's of a download, driven by a test."""

import hashlib
import os

import grpc

from flow_contract.outputs import (
    PART_BYTES,
    PIECE_BYTES,
    OutputFile,
    OutputsClosed,
    OutputState,
    PackedOutput,
)
from flow_wire import outputs_pb2 as pb
from flow_wire import outputs_pb2_grpc
from flow_wire.codec.outputs import (
    decode_output_answer,
    encode_output_file,
    encode_outputs_closed,
    encode_packed_output,
)

LARGE = os.urandom(2 * PART_BYTES + 12_345)


def file_of(name, content, upload_id="a" * 32):
    return OutputFile(upload_id=upload_id, name=name, bytes=len(content))


class OutputPusher:
    """One push stream of one party."""

    def __init__(self, address, federated_id="hospital-a", *, credentials=None):
        self._address = address
        self._federated_id = federated_id
        self._credentials = credentials

    async def __aenter__(self):
        self._channel = (
            grpc.aio.insecure_channel(self._address)
            if self._credentials is None
            else grpc.aio.secure_channel(self._address, self._credentials)
        )
        self.call = outputs_pb2_grpc.OutputServiceStub(self._channel).Push()
        return self

    async def __aexit__(self, *_error):
        self.call.cancel()
        await self._channel.close()

    async def hello(self, party_run_id):
        hello = pb.OutputHello(federated_id=self._federated_id, party_run_id=party_run_id)
        await self.call.write(pb.PushOutputsRequest(hello=hello))
        (answer,) = await self.answers()
        return answer.state

    async def answers(self):
        try:
            wire = await self.call.read()
        except grpc.aio.AioRpcError as error:
            raise AssertionError(f"{error.code()}: {error.details()}") from error
        if wire is grpc.aio.EOF:
            raise AssertionError("the server ended the stream")
        return [decode_output_answer(answer) for answer in wire.answers]

    async def offer(self, *files):
        offer = pb.OutputOffer(files=[encode_output_file(file) for file in files])
        await self.call.write(pb.PushOutputsRequest(offer=offer))
        return await self.answers()

    async def pieces(self, content, start=0):
        for begin in range(start, len(content), PIECE_BYTES):
            piece = pb.OutputPiece(data=content[begin : begin + PIECE_BYTES])
            await self.call.write(pb.PushOutputsRequest(piece=piece))

    async def finish(self, content):
        finish = pb.OutputFinish(sha256=hashlib.sha256(content).digest())
        await self.call.write(pb.PushOutputsRequest(finish=finish))
        (answer,) = await self.answers()
        return answer

    async def push(self, name, content, upload_id="a" * 32):
        """Send a large file from where the server has it."""
        (answer,) = await self.offer(file_of(name, content, upload_id))
        if answer.state is not OutputState.OPEN:
            return answer
        await self.pieces(content, answer.stored_bytes)
        return await self.finish(content)

    async def pack(self, contents, *, upload_id="b" * 32, sums=None):
        """Send small files: {name: content}."""
        packed = [
            PackedOutput(
                file=file_of(name, content, upload_id),
                sha256=(sums or {}).get(name, hashlib.sha256(content).digest()),
                data=content,
            )
            for name, content in contents.items()
        ]
        pack = pb.OutputPack(files=[encode_packed_output(one) for one in packed])
        await self.call.write(pb.PushOutputsRequest(pack=pack))
        return await self.answers()

    async def close(self, **said):
        closed = encode_outputs_closed(OutputsClosed(**said))
        await self.call.write(pb.PushOutputsRequest(closed=closed))
        (answer,) = await self.answers()
        return answer.state

    async def refused(self):
        """Wait for the server to end the stream; return its status code."""
        return await self.call.code()


class OutputReader:
    """A user who lists and downloads."""

    def __init__(self, address):
        self._channel = grpc.aio.insecure_channel(address)
        self._stub = outputs_pb2_grpc.OutputServiceStub(self._channel)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_error):
        await self._channel.close()

    async def list(self, task_id, **request):
        return await self._stub.List(pb.ListOutputsRequest(task_id=task_id, **request))

    async def names(self, task_id):
        return {file.name: file.bytes for file in (await self.list(task_id)).files}

    async def download(self, task_id, name, federated_id="hospital-a", **request):
        """Return the head and the bytes."""
        call = self._stub.Download(
            pb.DownloadOutputRequest(
                task_id=task_id, name=name, federated_id=federated_id, **request
            )
        )
        head, content = None, b""
        async for wire in call:
            if wire.WhichOneof("body") == "head":
                head = wire.head
            else:
                content += wire.data
        return head, content

    async def content(self, task_id, name):
        return (await self.download(task_id, name))[1]
