"""Asks the server for tunnels, over the agent's one connection to it."""

import asyncio
from typing import NoReturn

import grpc
import grpc.aio

from flow_contract.tunnels import SECRET_BYTES, TUNNEL_ID_BYTES, Ticket
from flow_wire import tunnels_pb2, tunnels_pb2_grpc
from flow_wire.codec.tunnels import decode_ticket
from party_agent.tasks import for_ever

ANSWER_S = 10.0
RETRY_S = 0.5


class NotOpened(Exception):
    """The server gives no ticket; the message says why. `may_help`: asking again might."""

    def __init__(self, message: str, *, may_help: bool) -> None:
        super().__init__(message)
        self.may_help = may_help


class Opener:
    """Opens tunnels while there is a session with the server."""

    def __init__(self) -> None:
        self._channel: grpc.aio.Channel | None = None

    async def run(self, channel: grpc.aio.Channel) -> NoReturn:
        """Use this session's channel until cancelled, which is when the session ends."""
        self._channel = channel
        try:
            await for_ever()
        finally:
            self._channel = None

    async def ask(self, party_run_id: str, peer_party_run_id: str, port: int) -> Ticket:
        """Return a ticket for one connection from the party run to its peer's port.

        Raises:
            NotOpened: there is none now.
        """
        request = tunnels_pb2.OpenTunnelRequest(
            party_run_id=party_run_id, peer_party_run_id=peer_party_run_id, port=port
        )
        return await self._ask(request)

    async def open(self, party_run_id: str, peer_party_run_id: str, port: int) -> Ticket:
        """Return a ticket as `ask` does, but wait for what may pass, ANSWER_S at most.

        That is a peer's agent that is just being restarted, or a session of this one's.

        Raises:
            NotOpened: there is none.
        """
        failed = NotOpened("the server did not answer", may_help=True)
        try:
            async with asyncio.timeout(ANSWER_S):
                while True:
                    try:
                        return await self.ask(party_run_id, peer_party_run_id, port)
                    except NotOpened as error:
                        failed = error
                        if not error.may_help:
                            raise
                    await asyncio.sleep(RETRY_S)
        except TimeoutError:
            raise failed from None

    async def _ask(self, request: tunnels_pb2.OpenTunnelRequest) -> Ticket:
        if self._channel is None:
            raise NotOpened("there is no connection to the server", may_help=True)
        stub = tunnels_pb2_grpc.TunnelServiceStub(self._channel)
        try:
            answer = await stub.Open(request, timeout=ANSWER_S)
        except grpc.aio.AioRpcError as error:
            may_help = error.code() in (
                grpc.StatusCode.UNAVAILABLE,
                grpc.StatusCode.DEADLINE_EXCEEDED,
                # The session is ending; there will be another.
                grpc.StatusCode.CANCELLED,
            )
            raise NotOpened(f"{error.code().name}: {error.details()}", may_help=may_help) from error
        except (asyncio.InvalidStateError, grpc.aio.UsageError) as error:
            raise NotOpened(f"the session has ended: {error}", may_help=True) from error
        except asyncio.CancelledError:
            if _is_cancelled():
                raise
            # A channel that is closed cancels its calls, and who waits for them with them.
            raise NotOpened("the session has ended", may_help=True) from None
        ticket = decode_ticket(answer.ticket)
        if len(ticket.tunnel_id) != TUNNEL_ID_BYTES or len(ticket.secret) != SECRET_BYTES:
            raise NotOpened("the server's ticket is none", may_help=False)
        return ticket


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
