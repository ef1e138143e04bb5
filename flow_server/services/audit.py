"""Keeping the audit log: what was done waits for its entry; a flood of refusals can't fill it.

Entries that arrive together are appended in one transaction. A database that is away holds the
entries up; the caller is answered after a moment all the same, because the act itself is over.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import structlog

from flow_contract import checks
from flow_contract.access import CallerKind
from flow_contract.audit import Act, AuditEntry, Outcome
from flow_contract.errors import Exhausted, Kind, Unavailable
from flow_server.storage import audit
from flow_server.storage.database import Database, StatementRefused

MAX_LIMIT = 1000
_MAX_WAITING = 10_000
_MAX_BATCH = 500
_ANSWER_WITHIN_S = 5.0
_PAUSE_S = 0.5
# Of callers that proved nothing: more than this in a second is told as a number.
_STRANGERS_PER_S = 10

log = structlog.get_logger()


class AuditService:
    """Appends acts and reads them. `clock_s` only grows.

    Invariant: what `record` took is appended, in the order it was taken, until the process ends.
    """

    def __init__(self, database: Database, *, clock_s: Callable[[], float]) -> None:
        self._database = database
        self._clock_s = clock_s
        self._waiting: list[tuple[Act, asyncio.Future[None]]] = []
        self._arrived = asyncio.Event()
        self._strangers_since_s = float("-inf")
        self._strangers = 0
        self._suppressed = 0

    async def record(self, act: Act) -> None:
        """Return once the act stands in the log, or after a moment if the database is away.

        Raises:
            Exhausted: so much waits to be written that nothing may be added.
        """
        if self._is_flood(act):
            self._suppressed += 1
            return
        if len(self._waiting) >= _MAX_WAITING:
            raise Exhausted("the audit log can't keep up; try again", kind=Kind.SERVER)
        if self._suppressed:
            act = replace(act, detail={**act.detail, "suppressed_before": str(self._suppressed)})
            self._suppressed = 0
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((act, written))
        self._arrived.set()
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                await asyncio.shield(written)
        except TimeoutError:
            log.warning("audit_delayed", action=act.action, waiting=len(self._waiting))

    async def read(self, *, after_sequence: int, limit: int) -> list[AuditEntry]:
        """Return the entries after `after_sequence`, in order, at most `limit`.

        Raises:
            InvalidArgument: a number lies outside its range.
        """
        checks.number("after_sequence", after_sequence, least=0)
        checks.number("limit", limit, least=1, most=MAX_LIMIT)
        async with self._database.transaction() as connection:
            return await audit.read(connection, after_sequence=after_sequence, limit=limit)

    async def run(self) -> None:
        """Write what is recorded until cancelled."""
        while True:
            await self._arrived.wait()
            batch = self._waiting[:_MAX_BATCH]
            if not batch:
                self._arrived.clear()
                continue
            try:
                async with self._database.transaction() as connection:
                    await audit.append(connection, [act for act, _ in batch])
            except Unavailable:
                await asyncio.sleep(_PAUSE_S)
                continue
            except StatementRefused:
                # One act that can't be stored must not hold up all that come after it.
                if len(batch) > 1:
                    batch = await self._append_apart(batch)
                else:
                    log.exception("audit_refused", action=batch[0][0].action)
            del self._waiting[: len(batch)]
            for _, written in batch:
                if not written.done():
                    written.set_result(None)

    async def _append_apart(
        self, batch: list[tuple[Act, asyncio.Future[None]]]
    ) -> list[tuple[Act, asyncio.Future[None]]]:
        for position, (act, _) in enumerate(batch):
            try:
                async with self._database.transaction() as connection:
                    await audit.append(connection, [act])
            except StatementRefused:
                log.exception("audit_refused", action=act.action)
            except Unavailable:
                return batch[:position]
        return batch

    def _is_flood(self, act: Act) -> bool:
        if act.actor_kind != CallerKind.NOBODY or act.outcome is not Outcome.DENIED:
            return False
        now_s = self._clock_s()
        if now_s - self._strangers_since_s >= 1:
            self._strangers_since_s, self._strangers = now_s, 0
        self._strangers += 1
        return self._strangers > _STRANGERS_PER_S
