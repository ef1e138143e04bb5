"""AgentService on gRPC: one connection per site, both ways at once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import structlog

from flow_contract.errors import (
    Forbidden,
    InvalidArgument,
    Kind,
    Unauthenticated,
    Unavailable,
)
from flow_server.grpc_api import callers
from flow_server.grpc_api.auditing import CONNECT, Auditor
from flow_server.grpc_api.certificates import party_of
from flow_server.grpc_api.context import Context
from flow_server.hub.registry import Registry
from flow_server.hub.sessions import Outgoing, Session, Shown, stale
from flow_server.pki.identities import PartyIdentity
from flow_server.services.delivery import DeliveryService
from flow_server.services.enrolments import EnrolmentService
from flow_server.services.parties import PartyService
from flow_server.services.reports import ReportService
from flow_wire import agents_pb2 as pb
from flow_wire import agents_pb2_grpc
from flow_wire.codec.assignments import AssignmentEncoder, decode_report
from flow_wire.codec.parties import decode_inventory
from flow_wire.codec.tunnels import encode_offer

log = structlog.get_logger()

HEARTBEAT_S = 60
# Three missed heartbeats behind a live socket mean a hung process.
SILENCE_LIMIT_S = 3 * HEARTBEAT_S
HELLO_TIMEOUT_S = 30
# In one message; agents of ours send half as many. Reports on one party run cost a statement each.
MAX_REPORTS = 1000
# Of assignments in one message. One alone may be larger, by a list of 10,000 parties and a
# template, and is still far below what a message may be.
MAX_PART_BYTES = 2 * 1024 * 1024


class AgentServicer(agents_pb2_grpc.AgentServiceServicer):
    """See proto/agents.proto for who must send what when.

    `insecure`: an agent is whom its hello names. Otherwise it is whom its certificate names.
    """

    def __init__(
        self,
        *,
        insecure: bool,
        enrolments: EnrolmentService,
        parties: PartyService,
        reports: ReportService,
        delivery: DeliveryService,
        registry: Registry,
        auditor: Auditor,
        lost_after_s: float,
        return_grace_s: float,
    ) -> None:
        self._insecure = insecure
        self._enrolments = enrolments
        self._lost_after_ms = round(lost_after_s * 1000)
        self._return_grace_ms = round(return_grace_s * 1000)
        self._parties = parties
        self._reports = reports
        self._delivery = delivery
        self._registry = registry
        self._auditor = auditor
        self._encoder = AssignmentEncoder()

    async def Connect(  # type: ignore[override]  # grpc.aio also takes a handler that writes itself
        self, requests: AsyncIterator[pb.AgentMessage], context: Context
    ) -> None:
        identity = None if self._insecure else _identity(context)
        hello = await _hello(requests)
        if identity is not None:
            _require_own(hello, identity)
        epoch = await self._parties.connect(
            federated_id=hello.federated_id,
            name=hello.name,
            instance_id=hello.instance_id,
            inventory=decode_inventory(hello.inventory),
            draining=hello.draining,
            serial=None if identity is None else identity.serial,
        )
        spread_s = self._registry.spread_s
        session = Session(
            federated_id=hello.federated_id,
            epoch=epoch,
            spread_s=spread_s,
            certificate=None
            if identity is None
            else Shown(serial=identity.serial, not_after=identity.not_after),
        )
        structlog.contextvars.bind_contextvars(party_id=session.federated_id, epoch=epoch)
        log.info("agent_connected", runtime=hello.inventory.runtime)
        try:
            await self._auditor.note(CONNECT, callers.current(), request=hello)
            welcome = pb.Welcome(
                epoch=epoch,
                heartbeat_s=HEARTBEAT_S,
                reconnect_spread_ms=round(spread_s * 1000),
                lost_after_ms=self._lost_after_ms,
                return_grace_ms=self._return_grace_ms,
            )
            await context.write(pb.ServerMessage(welcome=welcome))
            self._registry.add(session)
            self._delivery.wake_parties([session.federated_id])
            await self._converse(session, requests, context)
        finally:
            self._registry.remove(session)
            await asyncio.shield(self._disconnect(session))

    async def Renew(self, request: pb.RenewRequest, context: Context) -> pb.RenewResponse:
        identity = _identity(context)
        issued = await self._enrolments.renew(
            identity.federated_id, identity.serial, request.certificate_request_pem
        )
        return pb.RenewResponse(certificate_chain_pem=issued.certificate_pem, ca_pem=issued.ca_pem)

    async def _converse(
        self,
        session: Session,
        requests: AsyncIterator[pb.AgentMessage],
        context: Context,
    ) -> None:
        reading = asyncio.create_task(self._read(session, requests))
        writing = asyncio.create_task(self._write(session, context))
        try:
            done, _ = await asyncio.wait({reading, writing}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (reading, writing):
                task.cancel()
            await asyncio.gather(reading, writing, return_exceptions=True)

    async def _read(self, session: Session, requests: AsyncIterator[pb.AgentMessage]) -> None:
        while True:
            try:
                async with asyncio.timeout(SILENCE_LIMIT_S):
                    message = await anext(requests, None)
            except TimeoutError:
                raise stale("no heartbeat; the agent seems to hang", session.federated_id) from None
            if message is None:
                return
            match message.WhichOneof("body"):
                case "reports":
                    await self._take(session, message.reports)
                case "draining":
                    await self._parties.agent_drains(
                        federated_id=session.federated_id, epoch=session.epoch
                    )

    async def _take(self, session: Session, batch: pb.Reports) -> None:
        if len(batch.reports) > MAX_REPORTS:
            raise InvalidArgument(
                f"reports: {len(batch.reports)} in one message are more than {MAX_REPORTS}",
                field="reports",
            )
        reports = []
        for wire in batch.reports:
            try:
                reports.append(decode_report(wire))
            except InvalidArgument as error:
                # A newer agent's word; it is acknowledged, or it would be sent for ever.
                log.warning(
                    "report_ignored", party_run_id=wire.party_run_id[:64], message=error.message
                )
        await self._reports.submit(session.federated_id, session.epoch, reports)
        session.acknowledge([(wire.party_run_id, wire.sequence) for wire in batch.reports])

    async def _write(self, session: Session, context: Context) -> None:
        while True:
            for message in _messages(await session.next(), self._encoder):
                await context.write(message)
                # A large set goes out in many parts, and a workload waits for each of these.
                for offer in session.urgent():
                    await context.write(pb.ServerMessage(tunnel_offer=encode_offer(offer)))

    async def _disconnect(self, session: Session) -> None:
        with contextlib.suppress(Unavailable):
            await self._parties.disconnect(federated_id=session.federated_id, epoch=session.epoch)
        log.info("agent_disconnected", party_id=session.federated_id)


def _identity(context: Context) -> PartyIdentity:
    identity = party_of(context.auth_context())
    if identity is None:
        raise Unauthenticated(
            "this connection shows no party's certificate; 'fedflow agent enrol' gets one",
            kind=Kind.PARTY,
        )
    return identity


def _require_own(hello: pb.Hello, identity: PartyIdentity) -> None:
    if hello.federated_id != identity.federated_id:
        raise Forbidden(
            f"this agent's certificate is for party {identity.federated_id!r}, and it can speak "
            "for no other",
            kind=Kind.PARTY,
            subject_id=identity.federated_id,
            field="federated_id",
        )


async def _hello(requests: AsyncIterator[pb.AgentMessage]) -> pb.Hello:
    try:
        async with asyncio.timeout(HELLO_TIMEOUT_S):
            message = await anext(requests, None)
    except TimeoutError:
        message = None
    if message is None or message.WhichOneof("body") != "hello":
        raise InvalidArgument("the first message of a connection must be hello", field="hello")
    return message.hello


def _messages(outgoing: Outgoing, encoder: AssignmentEncoder) -> Iterator[pb.ServerMessage]:
    for offer in outgoing.tunnel_offers:
        yield pb.ServerMessage(tunnel_offer=encode_offer(offer))
    if outgoing.acknowledged:
        message = pb.ServerMessage()
        for party_run_id, sequence in outgoing.acknowledged:
            message.acknowledgement.reports.add(party_run_id=party_run_id, sequence=sequence)
        yield message
    if outgoing.spread_s is not None:
        pace = pb.Pace(reconnect_spread_ms=round(outgoing.spread_s * 1000))
        yield pb.ServerMessage(pace=pace)
    if outgoing.assignments or outgoing.complete:
        yield from _parts(outgoing, encoder)


def _parts(outgoing: Outgoing, encoder: AssignmentEncoder) -> Iterator[pb.ServerMessage]:
    """Encode the assignments piece by piece, so that no more than one piece is in memory twice."""
    # Filled in place: handing a message to the one around it would copy it.
    message, size_bytes = pb.ServerMessage(), 0
    last = len(outgoing.assignments) - 1
    for place, item in enumerate(outgoing.assignments):
        wire = encoder.add(item, message.assignments)
        if place == last:
            break
        size_bytes += wire.ByteSize()
        if size_bytes > MAX_PART_BYTES:
            message.assignments.more_follow = True
            yield message
            message, size_bytes = pb.ServerMessage(), 0
    message.assignments.complete = outgoing.complete
    yield message
