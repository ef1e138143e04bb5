"""Pushes what the spools hold over a stream of its own, from where the server says it is.

Nothing about the progress is kept here: the server knows how far it has each log, so a crash
at either end leaves neither a hole nor a repeat. A log is removed once the server has said
that it is complete, or that nobody will read it. One that the server refuses ends alone.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, TypeAlias, cast

import grpc.aio
import structlog

from flow_contract.errors import InvalidArgument
from flow_contract.log_records import BadLog
from flow_contract.logs import LogChunk, LogClosed, LogEnd, LogState
from flow_wire import logs_pb2 as pb
from flow_wire import logs_pb2_grpc
from flow_wire.codec.logs import decode_log_end, encode_log_chunk, encode_log_closed
from party_agent.backoff import Backoff
from party_agent.clock import Clock
from party_agent.dial import channel_options
from party_agent.identity.doors import Door, NoDoor
from party_agent.logs_out.refused import RefusedLogs
from party_agent.logs_out.spools import Spools
from party_agent.settings import AgentSettings
from party_agent.tasks import first_of, for_ever

LOOK_EVERY_S = 0.1
# Sent and not yet acknowledged, over all logs: what a slow server lets pile up on the wire.
_MAX_UNACKNOWLEDGED_BYTES = 4 * 1024 * 1024
_MAX_NAMED = 1000

_Call: TypeAlias = grpc.aio.StreamStreamCall[pb.PushLogsRequest, pb.PushLogsResponse]

log = structlog.get_logger()


class PushEnded(Exception):
    """The server closed the stream, or said what it can't mean."""


@dataclass(kw_only=True)
class _Progress:
    """One log in one session: sent up to, acknowledged up to, and what the server says of it."""

    sent: int
    acknowledged: int
    state: LogState = LogState.OPEN
    is_closing: bool = False


class LogPusher:
    """Pushes the logs of `spools`, None for none. `may_write`: whether more may still come."""

    def __init__(
        self,
        settings: AgentSettings,
        door: Door,
        spools: Spools | None,
        *,
        may_write: Callable[[str], bool],
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        self._federated_id = settings.party
        self._keepalive_s = settings.keepalive_s
        self._door = door
        self._spools = spools
        self._may_write = may_write
        self._clock = clock
        self._refused = RefusedLogs()
        self._backoff = Backoff(
            first_s=settings.first_backoff_s, max_s=settings.max_backoff_s, random=random
        )

    async def run(self) -> NoReturn:
        """Push until cancelled."""
        spools = self._spools
        if spools is None:
            await for_ever()
        while True:
            if all(map(self._refused.is_left, await asyncio.to_thread(spools.names))):
                await self._clock.sleep(LOOK_EVERY_S)
                continue
            try:
                await self._session(spools)
            except (grpc.aio.AioRpcError, NoDoor, PushEnded, OSError, InvalidArgument) as error:
                if isinstance(error, grpc.aio.AioRpcError) and self._refused.takes(error):
                    # The others go on at once.
                    continue
                why = error.details() if isinstance(error, grpc.aio.AioRpcError) else str(error)
                delay_s = self._backoff.next_s()
                log.warning("logs_not_pushed", why=why, retry_in_s=round(delay_s, 1))
                await self._clock.sleep(delay_s)

    async def _session(self, spools: Spools) -> None:
        options = channel_options(self._keepalive_s)
        async with self._door.open(options) as channel:
            call: _Call = logs_pb2_grpc.LogServiceStub(channel).Push()
            try:
                push = _Push(
                    call,
                    spools,
                    self._refused,
                    federated_id=self._federated_id,
                    may_write=self._may_write,
                    clock=self._clock,
                )
                await first_of(push.receive(self._backoff.reset), push.send())
            finally:
                call.cancel()


class _Push:
    """One stream. Ends with an exception; the next one begins from what the server has."""

    def __init__(
        self,
        call: _Call,
        spools: Spools,
        refused: RefusedLogs,
        *,
        federated_id: str,
        may_write: Callable[[str], bool],
        clock: Clock,
    ) -> None:
        self._call = call
        self._spools = spools
        self._refused = refused
        self._federated_id = federated_id
        self._may_write = may_write
        self._clock = clock
        self._named: set[str] = set()
        self._logs: dict[str, _Progress] = {}
        # Nothing more is wanted of these; they go when nobody writes to them any more.
        self._done: set[str] = set()
        self._acknowledged = asyncio.Event()

    async def receive(self, heard: Callable[[], None]) -> NoReturn:
        """Take the server's word for where each log ends; `heard` is told when it has more."""
        while True:
            message = await self._call.read()
            if message is grpc.aio.EOF:
                raise PushEnded("the server closed the stream")
            ends = [decode_log_end(wire) for wire in cast("pb.PushLogsResponse", message).ends]
            # Not for an answer to hello alone: a server whose disk is full gives that too.
            grown = [self._note(end) for end in ends]
            if any(grown):
                heard()
            self._acknowledged.set()

    async def send(self) -> NoReturn:
        """Send what there is and what comes, no faster than it is stored."""
        while True:
            await self._greet()
            has_more = False
            for party_run_id, progress in list(self._logs.items()):
                has_more |= await self._send_some(party_run_id, progress)
            if not has_more:
                await self._clock.sleep(LOOK_EVERY_S)

    async def _greet(self) -> None:
        for party_run_id in [name for name in self._done if not self._may_write(name)]:
            await asyncio.to_thread(self._spools.remove, party_run_id)
            self._done.discard(party_run_id)
            self._named.discard(party_run_id)
            self._refused.forget(party_run_id)
        there = await asyncio.to_thread(self._spools.names)
        wanted = [name for name in there if not self._refused.is_left(name)]
        new = [name for name in wanted if name not in self._named][:_MAX_NAMED]
        if new:
            self._named.update(new)
            hello = pb.LogHello(federated_id=self._federated_id, party_run_ids=new)
            await self._write(pb.PushLogsRequest(hello=hello))

    async def _send_some(self, party_run_id: str, progress: _Progress) -> bool:
        """Send the next chunks of one log; say whether there may be more at once."""
        if progress.is_closing:
            return False
        # Asked first: what was written before the end is there when it is read.
        is_over = not self._may_write(party_run_id)
        if not await self._is_readable(party_run_id, progress, is_over=is_over):
            return False
        chunks = await self._chunks(party_run_id, progress)
        for chunk in chunks:
            await self._room()
            await self._write(pb.PushLogsRequest(chunk=encode_log_chunk(chunk)))
            progress.sent = chunk.end
        is_told = not chunks and progress.sent == progress.acknowledged
        if is_over and is_told and self._refused.mark_for(party_run_id) is None:
            progress.is_closing = True
            closed = LogClosed(
                party_run_id=party_run_id,
                end=progress.acknowledged,
                withheld=await asyncio.to_thread(self._spools.is_withheld, party_run_id),
            )
            await self._write(pb.PushLogsRequest(closed=encode_log_closed(closed)))
        return bool(chunks)

    async def _is_readable(self, party_run_id: str, progress: _Progress, *, is_over: bool) -> bool:
        """Say whether more of a log can be sent; let a refused one end once it is over."""
        mark = self._refused.mark_for(party_run_id)
        if mark is None:
            return True
        if not is_over or progress.sent != progress.acknowledged:
            return False
        at = self._clock.now()
        await asyncio.to_thread(
            self._spools.cut_short, party_run_id, progress.acknowledged, at, mark
        )
        self._refused.note_cut(party_run_id)
        return True

    async def _chunks(self, party_run_id: str, progress: _Progress) -> list[LogChunk]:
        if progress.state is not LogState.OPEN or self._refused.is_left(party_run_id):
            return []
        try:
            return await asyncio.to_thread(self._spools.chunks, party_run_id, progress.sent)
        except BadLog as error:
            self._refused.note_damaged(party_run_id, str(error))
            return []

    async def _room(self) -> None:
        while self._unacknowledged_bytes() >= _MAX_UNACKNOWLEDGED_BYTES:
            self._acknowledged.clear()
            await self._acknowledged.wait()

    def _unacknowledged_bytes(self) -> int:
        return sum(progress.sent - progress.acknowledged for progress in self._logs.values())

    def _note(self, end: LogEnd) -> bool:
        """Take one log's end over; return whether the server has come further with it."""
        if end.state in (LogState.GONE, LogState.CLOSED):
            self._logs.pop(end.party_run_id, None)
            self._done.add(end.party_run_id)
            return True
        progress = self._logs.get(end.party_run_id)
        if progress is None:
            self._logs[end.party_run_id] = _Progress(
                sent=end.end, acknowledged=end.end, state=end.state
            )
            return False
        has_more = end.end > progress.acknowledged
        progress.acknowledged = end.end
        if end.state is LogState.FULL:
            # What was on its way beyond the end is not stored.
            progress.state, progress.sent = LogState.FULL, end.end
        return has_more

    async def _write(self, message: pb.PushLogsRequest) -> None:
        try:
            await self._call.write(message)
        except asyncio.InvalidStateError:
            # The call has ended; reading, which goes on beside this, says with which status.
            await for_ever()
