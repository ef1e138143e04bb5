"""Reading logs: chunks as they were pushed, in the order of time over all parties, and following.

Nothing is unpacked here and nothing is kept: a reader who is slow holds up nobody but itself.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeAlias

from flow_contract.access import Caller
from flow_contract.errors import Conflict, Kind, NotFound
from flow_contract.lifecycle import PartyRunState, is_final
from flow_contract.logs import CaughtUp, LogChunk, LogHead, LogRequest, PartyLog, check_request
from flow_server.domain.access import RULES, decide
from flow_server.domain.log_keys import chunk_key
from flow_server.services.watches import PROOF_ASKED_S, Watches
from flow_server.storage import log_reads, runs, tasks
from flow_server.storage.blobs import Blobs
from flow_server.storage.database import Database
from flow_server.storage.log_reads import ChunkRow, StoredLog

# Chunks that are read at a time: 2 MiB at most, before compression.
_PAGE = 32
# How long a reader waits for more of the last words of a party run that has ended.
SETTLE_S = 10.0

Piece: TypeAlias = LogHead | LogChunk | CaughtUp


class LogReadService:
    """Reads and follows the logs of one run at a time. `clock_s` only grows."""

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        *,
        logs_watched: Watches,
        tasks_watched: Watches,
        clock_s: Callable[[], float],
        settle_s: float = SETTLE_S,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._logs_watched = logs_watched
        self._tasks_watched = tasks_watched
        self._clock_s = clock_s
        self._settle_s = settle_s

    async def read(
        self,
        request: LogRequest,
        *,
        caller: Caller,
        again: Callable[[], Awaitable[Caller]],
    ) -> AsyncGenerator[Piece, None]:
        """Yield a head, the chunks there are, `CaughtUp`; with `follow` more of both to the end.

        It ends when every party run has ended and its log is complete; one whose agent does not
        say so is waited for a little while. `again` says who the caller is by now: asked before
        more is told, and now and then.

        Raises:
            NotFound: no such task, run or party in it, or it was deleted meanwhile.
            Conflict: the task was never started.
            InvalidArgument: a field lies outside its range.
            Forbidden: the task is another user's.
            Unauthenticated: the caller's proof is no longer good.
            Unavailable: this replica is leaving, or database or blobs can't be read.
        """
        check_request(request)
        run_id = await self._run_of(request, caller)
        changed = asyncio.Event()
        with (
            self._logs_watched.watching(run_id, caller, changed),
            self._tasks_watched.watching(request.task_id, caller, changed),
        ):
            found = await self._look(run_id, request.parties)
            positions = await self._starts(request, found)
            yield LogHead(
                run_id=run_id,
                parties=tuple(_party_log(log, positions[log.party_run_id]) for log in found),
            )
            over_since_s: float | None = None
            while True:
                async for chunk in self._chunks(run_id, found, positions):
                    # As long as something comes, more of it may: a long log takes its time.
                    over_since_s = None
                    yield chunk
                yield CaughtUp()
                if not request.follow or all(_is_told(log) for log in found):
                    return
                if not all(_is_over(log) for log in found):
                    over_since_s = None
                elif over_since_s is None:
                    over_since_s = self._clock_s()
                if not await self._news(changed, over_since_s):
                    return
                self._logs_watched.require_open()
                await self._check(request.task_id, await again())
                found = await self._look(run_id, request.parties)

    async def _news(self, changed: asyncio.Event, over_since_s: float | None) -> bool:
        """Wait for a change, or a while; False once nothing is to be expected any more."""
        left_s = PROOF_ASKED_S
        if over_since_s is not None:
            left_s = min(left_s, over_since_s + self._settle_s - self._clock_s())
            if left_s <= 0:
                return False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left_s):
                await changed.wait()
        changed.clear()
        return True

    async def _check(self, task_id: str, caller: Caller) -> None:
        async with self._database.glance() as connection:
            decide(RULES["LogService/Read"], caller, await tasks.owner_of(connection, task_id))

    async def _run_of(self, request: LogRequest, caller: Caller) -> str:
        await self._check(request.task_id, caller)
        async with self._database.glance() as connection:
            run_id = await log_reads.run_to_read(connection, request.task_id, request.run_id)
        if run_id is None:
            raise Conflict(
                "the task was never started, so there are no logs; start it first",
                kind=Kind.TASK,
                subject_id=request.task_id,
            )
        return run_id

    async def _look(self, run_id: str, parties: tuple[str, ...]) -> list[StoredLog]:
        async with self._database.glance() as connection:
            found = await log_reads.logs_of_run(connection, run_id)
        if not found:
            raise runs.not_found(run_id)
        if not parties:
            return found
        chosen = [log for log in found if log.federated_id in parties]
        if missing := set(parties) - {log.federated_id for log in chosen}:
            raise NotFound(
                f"party {min(missing)!r} has no part in this run; name one that has",
                kind=Kind.PARTY_RUN,
                field="parties",
            )
        return chosen

    async def _starts(self, request: LogRequest, found: list[StoredLog]) -> dict[str, int]:
        starts = {log.party_run_id: 0 for log in found}
        fresh = [key for key in starts if key not in request.positions]
        ends = {log.party_run_id: log.end for log in found}
        async with self._database.snapshot() as connection:
            if request.since is not None:
                since = await log_reads.starts_since(connection, fresh, request.since)
                starts.update({key: since.get(key, ends[key]) for key in fresh})
            if request.tail is not None:
                # Two more: the first line of either stream may have begun before.
                wanted = request.tail + 2
                tail = await log_reads.starts_of_tail(connection, fresh, wanted)
                starts.update({key: max(starts[key], tail.get(key, 0)) for key in fresh})
        return starts | {
            key: min(position, ends[key])
            for key, position in request.positions.items()
            if key in starts
        }

    async def _chunks(
        self, run_id: str, found: list[StoredLog], positions: dict[str, int]
    ) -> AsyncGenerator[LogChunk, None]:
        """Yield what lies between the positions and the ends, and move the positions there."""
        ends = {log.party_run_id: log.end for log in found}
        while spans := {
            key: (start, ends[key]) for key, start in positions.items() if start < ends[key]
        }:
            async with self._database.glance() as connection:
                rows = await log_reads.chunks_between(connection, spans, most=_PAGE)
            if not rows:
                raise runs.not_found(run_id)
            blobs = await asyncio.gather(*(self._blob(run_id, row) for row in rows))
            for row, data in zip(rows, blobs, strict=True):
                positions[row.party_run_id] = row.start + row.raw_bytes
                yield LogChunk(
                    party_run_id=row.party_run_id,
                    start=row.start,
                    raw_bytes=row.raw_bytes,
                    first_at=row.first_at,
                    last_at=row.last_at,
                    lines=row.lines,
                    data=data,
                )

    async def _blob(self, run_id: str, row: ChunkRow) -> bytes:
        return await self._blobs.get(chunk_key(run_id, row.party_run_id, row.start, row.raw_bytes))


def _party_log(log: StoredLog, start: int) -> PartyLog:
    return PartyLog(
        party_run_id=log.party_run_id,
        federated_id=log.federated_id,
        rank=log.rank,
        start=start,
        end=log.end,
        complete=log.complete,
        withheld=log.withheld,
    )


def _is_over(log: StoredLog) -> bool:
    return is_final(PartyRunState(log.state))


def _is_told(log: StoredLog) -> bool:
    """Say whether nothing will follow: it is complete, or ended before it ever ran."""
    return log.complete or (_is_over(log) and not log.started)
