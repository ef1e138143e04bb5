"""OutputService on gRPC: agents push over a stream of their own, users list and download."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

from flow_contract.errors import Forbidden, InvalidArgument, Kind, Unauthenticated, Unavailable
from flow_contract.ids import is_party_id
from flow_contract.outputs import MAX_LISTED, OutputAnswer, StoredOutput, write_place
from flow_server.grpc_api import callers
from flow_server.grpc_api.certificates import party_of
from flow_server.grpc_api.context import Context
from flow_server.services.output_pushes import OutputPushService
from flow_server.services.output_reads import OutputReadService, Wanted
from flow_server.services.output_receiver import OutputReceiver
from flow_server.services.output_shares import OutputSender
from flow_server.services.part_buffers import PartBuffers
from flow_wire import outputs_pb2 as pb
from flow_wire import outputs_pb2_grpc
from flow_wire.codec.outputs import (
    decode_output_file,
    decode_outputs_closed,
    decode_packed_output,
    encode_output_answer,
    encode_party_outputs,
    encode_stored_output,
)


class OutputServicer(outputs_pb2_grpc.OutputServiceServicer):
    """See proto/outputs.proto. `insecure`: an agent is whom its hello names."""

    def __init__(
        self, pushes: OutputPushService, reads: OutputReadService, *, insecure: bool
    ) -> None:
        self._pushes = pushes
        self._reads = reads
        self._insecure = insecure
        self._buffers = PartBuffers()
        self._leaving = asyncio.Event()

    def close(self) -> None:
        """End the pushing streams, now and later: the server is leaving."""
        self._leaving.set()

    async def Push(  # type: ignore[override]  # grpc.aio also takes a handler that writes itself
        self, requests: AsyncIterator[pb.PushOutputsRequest], context: Context
    ) -> None:
        works = [
            asyncio.create_task(self._push(requests, context)),
            asyncio.create_task(self._leaving.wait()),
        ]
        try:
            await asyncio.wait(works, return_when=asyncio.FIRST_COMPLETED)
        finally:
            works[1].cancel()
            if not works[0].done():
                works[0].cancel()
            await asyncio.gather(*works, return_exceptions=True)
        if works[0].cancelled():
            raise Unavailable("the server is shutting down; dial again", kind=Kind.SERVER)
        works[0].result()

    async def List(
        self, request: pb.ListOutputsRequest, context: Context
    ) -> pb.ListOutputsResponse:
        page = await self._reads.list(
            Wanted(
                task_id=request.task_id,
                run_id=request.run_id,
                federated_id=request.federated_id,
                name=request.name,
            ),
            after=request.after,
            limit=request.limit if request.HasField("limit") else MAX_LISTED,
            caller=callers.current(),
        )
        return pb.ListOutputsResponse(
            run_id=page.run_id,
            parties=[encode_party_outputs(party) for party in page.parties],
            files=[encode_stored_output(file) for file in page.files],
            next=write_place(page.next),
        )

    async def Download(
        self, request: pb.DownloadOutputRequest, context: Context
    ) -> AsyncGenerator[pb.DownloadOutputResponse, None]:
        calling = callers.calling()
        wanted = Wanted(
            task_id=request.task_id,
            run_id=request.run_id,
            federated_id=request.federated_id,
            name=request.name,
        )
        async with contextlib.aclosing(
            self._reads.read(
                wanted,
                offset=request.offset,
                sha256=request.sha256,
                caller=calling.caller,
                again=calling.again,
            )
        ) as pieces:
            async for piece in pieces:
                if isinstance(piece, StoredOutput):
                    yield pb.DownloadOutputResponse(head=encode_stored_output(piece))
                else:
                    yield pb.DownloadOutputResponse(data=piece)

    async def _push(self, requests: AsyncIterator[pb.PushOutputsRequest], context: Context) -> None:
        receiver: OutputReceiver | None = None
        try:
            async for message in requests:
                if message.WhichOneof("body") == "hello":
                    if receiver is not None:
                        await receiver.aclose()
                    sender = self._sender(message.hello, context)
                    answer, share = await self._pushes.open(sender, message.hello.party_run_id)
                    receiver = (
                        None
                        if share is None
                        else OutputReceiver(self._pushes, share, self._buffers)
                    )
                    answers = [answer]
                elif receiver is None:
                    raise InvalidArgument(
                        "a hello that is answered with OPEN must come first", field="hello"
                    )
                else:
                    answers = await _received(receiver, message)
                if answers:
                    await context.write(
                        pb.PushOutputsResponse(
                            answers=[encode_output_answer(answer) for answer in answers]
                        )
                    )
        finally:
            if receiver is not None:
                await receiver.aclose()

    def _sender(self, hello: pb.OutputHello, context: Context) -> OutputSender:
        if self._insecure:
            if not is_party_id(hello.federated_id):
                raise InvalidArgument("federated_id: not a party id", field="federated_id")
            return OutputSender(federated_id=hello.federated_id)
        identity = party_of(context.auth_context())
        if identity is None:
            raise Unauthenticated("this connection shows no party's certificate", kind=Kind.PARTY)
        if hello.federated_id != identity.federated_id:
            raise Forbidden(
                f"this agent's certificate is for party {identity.federated_id!r}, and it can "
                "speak for no other",
                kind=Kind.PARTY,
                field="federated_id",
            )
        return OutputSender(federated_id=identity.federated_id, serial=identity.serial)


async def _received(receiver: OutputReceiver, message: pb.PushOutputsRequest) -> list[OutputAnswer]:
    match message.WhichOneof("body"):
        case "piece":
            await receiver.piece(message.piece.data)
            return []
        case "offer":
            files = [decode_output_file(file) for file in message.offer.files]
            return await receiver.offer(files)
        case "finish":
            return [await receiver.finish(message.finish.sha256)]
        case "pack":
            packed = [decode_packed_output(one) for one in message.pack.files]
            return await receiver.pack(packed)
        case "closed":
            return [await receiver.close(decode_outputs_closed(message.closed))]
        case _:
            raise InvalidArgument("the message says nothing that this server knows", field="body")
