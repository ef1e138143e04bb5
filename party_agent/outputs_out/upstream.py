"""One stream of outputs to the server, as the agent speaks on it."""

import asyncio
from collections.abc import Sequence
from typing import NoReturn, TypeAlias, cast

import grpc.aio

from flow_contract.outputs import OutputAnswer, OutputFile, OutputsClosed, PackedOutput
from flow_wire import outputs_pb2 as pb
from flow_wire.codec.outputs import (
    decode_output_answer,
    encode_output_file,
    encode_outputs_closed,
    encode_packed_output,
)

# For the server to read again what it has of a large file that was cut.
ANSWER_TIMEOUT_S = 900.0
# For one piece to go out, however slow the line is.
_PIECE_TIMEOUT_S = 300.0

Call: TypeAlias = grpc.aio.StreamStreamCall[pb.PushOutputsRequest, pb.PushOutputsResponse]


class StreamEnded(Exception):
    """The server ended the stream, or does not answer."""


class Upstream:
    """Asks over `call`, one question at a time. All methods raise StreamEnded and AioRpcError."""

    def __init__(self, call: Call) -> None:
        self._call = call

    async def hello(self, federated_id: str, party_run_id: str) -> OutputAnswer:
        """Say which party run is brought; return whether the server takes more of it."""
        hello = pb.OutputHello(federated_id=federated_id, party_run_id=party_run_id)
        return (await self._ask(pb.PushOutputsRequest(hello=hello), 1))[0]

    async def offer(self, files: Sequence[OutputFile]) -> list[OutputAnswer]:
        """Return which files the server wants, and how much it has of a large one."""
        offer = pb.OutputOffer(files=[encode_output_file(file) for file in files])
        return await self._ask(pb.PushOutputsRequest(offer=offer), len(files))

    async def piece(self, data: bytes) -> None:
        """Send the next bytes of the file that was offered last."""
        await self._write(pb.PushOutputsRequest(piece=pb.OutputPiece(data=data)))

    async def finish(self, sha256: bytes) -> OutputAnswer:
        """End a large file; return whether it is stored."""
        finish = pb.OutputFinish(sha256=sha256)
        return (await self._ask(pb.PushOutputsRequest(finish=finish), 1))[0]

    async def pack(self, packed: Sequence[PackedOutput]) -> list[OutputAnswer]:
        """Send small files; return whether each is stored."""
        pack = pb.OutputPack(files=[encode_packed_output(one) for one in packed])
        return await self._ask(pb.PushOutputsRequest(pack=pack), len(packed))

    async def close(self, closed: OutputsClosed) -> None:
        """Say that nothing follows."""
        await self._ask(pb.PushOutputsRequest(closed=encode_outputs_closed(closed)), 1)

    async def _ask(self, message: pb.PushOutputsRequest, wanted: int) -> list[OutputAnswer]:
        await self._write(message)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                answer = await self._call.read()
        except TimeoutError:
            raise StreamEnded("the server does not answer") from None
        if answer is grpc.aio.EOF:
            raise StreamEnded("the server closed the stream")
        answers = [
            decode_output_answer(one) for one in cast("pb.PushOutputsResponse", answer).answers
        ]
        if len(answers) != wanted:
            raise StreamEnded("the server answers something else than what it was asked")
        return answers

    async def _write(self, message: pb.PushOutputsRequest) -> None:
        try:
            async with asyncio.timeout(_PIECE_TIMEOUT_S):
                await self._call.write(message)
        except TimeoutError:
            raise StreamEnded("the server takes nothing any more") from None
        except asyncio.InvalidStateError:
            await self._ended()

    async def _ended(self) -> NoReturn:
        raise StreamEnded(await self._call.details() or (await self._call.code()).name)
