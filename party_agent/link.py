"""The one connection: dial out, say hello, converge, report; and again after every failure.

Nothing here is worth keeping: whatever goes wrong ends the whole session, and the next one
starts from the complete assignments and resends what was not acknowledged.
"""

import asyncio
import re
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NoReturn

import grpc.aio
import structlog

from flow_contract.assignments import Assignment
from flow_contract.errors import InvalidArgument
from flow_contract.parties import Inventory
from flow_contract.tunnels import Offer
from flow_wire import agents_pb2, agents_pb2_grpc
from flow_wire.codec.assignments import decode_assignment, encode_report
from flow_wire.codec.parties import encode_inventory
from flow_wire.codec.tunnels import decode_offer
from party_agent.backoff import Backoff
from party_agent.clock import Clock
from party_agent.contact import Contact
from party_agent.conversation import Call, SessionEnded, read, write
from party_agent.dial import FOR_PEOPLE, channel_options, went_silent
from party_agent.identity.doors import Door, NoDoor
from party_agent.refusals import Refusals
from party_agent.reporter import Reporter
from party_agent.tasks import first_of, for_ever
from party_agent.terms import misfits, read_terms
from party_agent.units import Units
from party_agent.unreadable import Unreadable

WELCOME_DEADLINE_S = 60.0
DEFAULT_HEARTBEAT_S = 60.0
# Behind a live socket a server may have lost this stream; a busy one still acknowledges some.
ACKNOWLEDGEMENT_DEADLINE_S = 60.0

# Party-run ids become directory and container names.
_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


# What else goes over a session's connection, until that ends.
Stream = Callable[[grpc.aio.Channel], Coroutine[Any, Any, NoReturn]]

log = structlog.get_logger()


class _DialAnew(Exception):
    """This side wants another connection, with its new certificate."""


class Link:
    """Keeps one session with the server open. `connected` is set while assignments are current."""

    def __init__(
        self,
        *,
        target: str,
        door: Door,
        refusals: Refusals,
        federated_id: str,
        name: str,
        instance_id: str,
        inventory: Inventory,
        units: Units,
        reporter: Reporter,
        clock: Clock,
        contact: Contact,
        backoff: Backoff,
        keepalive_s: float,
        max_backoff_s: float,
        streams: Sequence[Stream] = (),
        offered: Callable[[Offer], None] = lambda _: None,
    ) -> None:
        self.connected = asyncio.Event()
        self._draining = asyncio.Event()
        self._has_said_draining = asyncio.Event()
        self._target = target
        self._door = door
        self._refusals = refusals
        self._dial_anew = asyncio.Event()
        self._federated_id = federated_id
        self._name = name
        self._instance_id = instance_id
        self._inventory = inventory
        self._units = units
        self._reporter = reporter
        self._clock = clock
        self._contact = contact
        self._backoff = backoff
        self._keepalive_s = keepalive_s
        self._max_backoff_s = max_backoff_s
        self._streams = streams
        self._offered = offered
        self._acknowledgements = 0
        self._parts: list[agents_pb2.Assignment] = []

    async def drain(self) -> None:
        """Tell the server, now and in each session to come, to send no new work.

        Returns once a session has been told.
        """
        self._draining.set()
        await self._has_said_draining.wait()

    def dial_anew(self) -> None:
        """End the session, if there is one, and open the next at once."""
        self._dial_anew.set()

    async def run(self) -> NoReturn:
        """Dial, serve, and dial again, until cancelled."""
        while True:
            try:
                delay_s = await self._try_session()
            except Exception:
                log.exception("session_failed", server=self._target)
                delay_s = self._backoff.long_s()
            self.connected.clear()
            await self._clock.sleep(delay_s)

    async def _try_session(self) -> float:
        """Serve one session to its end; return how long to wait before the next."""
        is_alone, seen, began = False, "", self._clock.now()
        try:
            await self._session()
        except grpc.aio.AioRpcError as error:
            if error.code() in FOR_PEOPLE:
                return await self._ask_people(error.code(), error.details() or "")
            why = f"{error.code().name}: {error.details()}"
            is_alone = went_silent(error)
            if error.code() is grpc.StatusCode.UNAVAILABLE and not self.connected.is_set():
                seen = await self._door.explain()
        except NoDoor as error:
            return await self._ask_people(None, str(error))
        except _DialAnew:
            log.info("connection_renewed", server=self._target)
            return 0.0
        except (SessionEnded, TimeoutError) as error:
            why = str(error) or f"no assignments within {WELCOME_DEADLINE_S:g} s"
        delay_s = self._backoff.next_s(
            is_alone=is_alone,
            is_awaited=bool(self._units.party_run_ids),
            spent_s=max(0.0, (self._clock.now() - began).total_seconds()),
        )
        if seen:
            # It may be no more than a server that is going; only the back-off can tell.
            await self._refusals.refused(None, seen, retry_s=delay_s)
            return delay_s
        log.warning("connection_lost", server=self._target, why=why, retry_in_s=round(delay_s, 1))
        return delay_s

    async def _ask_people(self, code: grpc.StatusCode | None, said: str) -> float:
        delay_s = self._backoff.long_s()
        await self._refusals.refused(code, said, retry_s=delay_s)
        return delay_s

    async def _session(self) -> None:
        self._dial_anew.clear()
        async with self._door.open(channel_options(self._keepalive_s)) as channel:
            call: Call = agents_pb2_grpc.AgentServiceStub(channel).Connect()
            try:
                async with asyncio.timeout(WELCOME_DEADLINE_S):
                    welcome = await self._greet(call)
                self._agree(welcome)
                self._reporter.reconnected()
                self.connected.set()
                log.info("connected", server=self._target, epoch=welcome.epoch)
                await self._refusals.admitted()
                await self._serve(call, channel, welcome.heartbeat_s or DEFAULT_HEARTBEAT_S)
            finally:
                call.cancel()

    def _agree(self, welcome: agents_pb2.Welcome) -> None:
        self._backoff.reset()
        self._backoff.spread(welcome.reconnect_spread_ms / 1000)
        terms = read_terms(welcome)
        for message in misfits(
            terms, keepalive_s=self._keepalive_s, max_backoff_s=self._max_backoff_s
        ):
            # At each greeting: the server may be another, or have other settings by now.
            log.warning("settings_contradict_the_server", server=self._target, message=message)

    async def _serve(self, call: Call, channel: grpc.aio.Channel, heartbeat_s: float) -> None:
        try:
            await first_of(
                self._receive(call),
                self._send_reports(call),
                self._beat(call, heartbeat_s),
                self._watch_acknowledgements(),
                self._say_draining(call),
                self._keep_contact(),
                self._asked_to_dial_anew(),
                *(stream(channel) for stream in self._streams),
            )
        finally:
            await self._contact.lost()

    async def _greet(self, call: Call) -> agents_pb2.Welcome:
        hello = agents_pb2.Hello(
            federated_id=self._federated_id,
            name=self._name,
            instance_id=self._instance_id,
            inventory=encode_inventory(self._inventory),
            party_run_ids=self._units.party_run_ids,
            draining=self._draining.is_set(),
        )
        await write(call, agents_pb2.AgentMessage(hello=hello))
        # A set that the last session cut off is worth nothing.
        self._parts.clear()
        first = await read(call)
        if first.WhichOneof("body") != "welcome":
            raise SessionEnded("the server's first message was no welcome")
        # Until they are complete nothing is known of what the server wants no more.
        is_complete = False
        while not is_complete:
            message = await read(call)
            self._handle(message)
            is_complete = message.assignments.complete and not message.assignments.more_follow
        return first.welcome

    async def _receive(self, call: Call) -> NoReturn:
        while True:
            self._handle(await read(call))

    def _handle(self, message: agents_pb2.ServerMessage) -> None:
        match message.WhichOneof("body"):
            case "assignments":
                self._take(message.assignments)
            case "acknowledgement":
                self._acknowledgements += 1
                for key in message.acknowledgement.reports:
                    self._units.acknowledge(key.party_run_id, key.sequence)
            case "pace":
                self._backoff.spread(message.pace.reconnect_spread_ms / 1000)
            case "tunnel_offer":
                self._offered(decode_offer(message.tunnel_offer))
            case other:
                log.debug("message_ignored", body=other)  # a newer server may say more

    def _take(self, wire: agents_pb2.Assignments) -> None:
        self._parts.extend(wire.assignments)
        if wire.more_follow:
            return
        parts, self._parts = self._parts, []
        readable: list[Assignment] = []
        unreadable: list[Unreadable] = []
        for each in parts:
            party_run_id = each.spec.party_run_id
            if not _SAFE_ID.fullmatch(party_run_id):
                log.error("assignment_without_usable_id", party_run_id=party_run_id)
                continue
            try:
                readable.append(decode_assignment(each))
            except InvalidArgument as error:
                unreadable.append(Unreadable(party_run_id=party_run_id, message=error.message))
        self._units.assign(readable, unreadable=unreadable, complete=wire.complete)

    async def _send_reports(self, call: Call) -> NoReturn:
        while True:
            batch = await self._reporter.next_batch()
            reports = agents_pb2.Reports(reports=[encode_report(report) for report in batch])
            await write(call, agents_pb2.AgentMessage(reports=reports))

    async def _beat(self, call: Call, every_s: float) -> NoReturn:
        while True:
            await self._clock.sleep(every_s)
            await write(call, agents_pb2.AgentMessage(heartbeat=agents_pb2.Heartbeat()))

    async def _say_draining(self, call: Call) -> NoReturn:
        await self._draining.wait()
        # Once more than needed where the hello has said it already.
        await write(call, agents_pb2.AgentMessage(draining=agents_pb2.Draining()))
        self._has_said_draining.set()
        await for_ever()

    async def _asked_to_dial_anew(self) -> NoReturn:
        await self._dial_anew.wait()
        raise _DialAnew

    async def _keep_contact(self) -> NoReturn:
        await self._contact.gained()
        await self._contact.keep()

    async def _watch_acknowledgements(self) -> NoReturn:
        while True:
            sent, heard = self._reporter.awaiting(), self._acknowledgements
            await self._clock.sleep(ACKNOWLEDGEMENT_DEADLINE_S)
            if heard == self._acknowledgements and sent & self._reporter.awaiting():
                raise SessionEnded("the server no longer acknowledges reports")
