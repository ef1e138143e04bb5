"""Taking agents' reports in: group commit, nothing acknowledged before it is stored.

Every waiting submission rides the next transaction, and two transactions are in flight, so a
thousand agents that report at once cost a few commits and one that reports alone waits for
nobody.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeAlias

from flow_contract.assignments import Report
from flow_contract.errors import FlowError, Kind, StaleLease, Unavailable
from flow_server.domain.reports import normalise
from flow_server.services.transitions import settle
from flow_server.storage import reports, runs
from flow_server.storage.database import Connection, Database, StatementRefused
from flow_server.storage.reports import SentReport

_IN_FLIGHT = 2
_MAX_BATCH = 2000

_Batch: TypeAlias = list[tuple[list[SentReport], asyncio.Future[None]]]


class ReportService:
    """Applies reports in batches.

    Invariant: `submit` returns only after the commit that holds its reports.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: _Batch = []
        self._arrived = asyncio.Event()

    async def submit(self, federated_id: str, epoch: int, incoming: Sequence[Report]) -> None:
        """Store the reports of one connection, in order.

        Raises:
            StaleLease: the party has a newer connection; nothing was stored.
            Unavailable: the database can't answer; send them again.
        """
        if not incoming:
            return
        now = datetime.now(UTC)
        sent = [
            SentReport(federated_id=federated_id, epoch=epoch, report=normalise(report, now=now))
            for report in incoming
        ]
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((sent, done))
        self._arrived.set()
        await done

    async def run(self) -> None:
        """Apply what is submitted until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(_IN_FLIGHT):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            await self._arrived.wait()
            batch = self._take()
            if batch:
                await self._apply(batch)

    def _take(self) -> _Batch:
        size, count = 0, 0
        for sent, _ in self._waiting:
            if count and size + len(sent) > _MAX_BATCH:
                break
            size, count = size + len(sent), count + 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        if not self._waiting:
            self._arrived.clear()
        return batch

    async def _apply(self, batch: _Batch) -> None:
        try:
            stale = await self._commit([item for sent, _ in batch for item in sent])
        except FlowError as error:
            _fail(batch, error)
            return
        except StatementRefused as error:
            await self._apply_apart(batch, error)
            return
        except BaseException:
            # Told to send again, and not cancelled: that would look like the waiter's own end.
            _fail(batch, Unavailable("the reports were not stored; send them again"))
            raise
        for sent, done in batch:
            if done.done():
                continue
            if (sent[0].federated_id, sent[0].epoch) in stale:
                done.set_exception(_stale(sent[0].federated_id))
            else:
                done.set_result(None)

    async def _apply_apart(self, batch: _Batch, error: Exception) -> None:
        """Let none but the sender of what can't be stored pay for it."""
        if len(batch) == 1:
            _fail(batch, error)
            return
        try:
            for position in range(len(batch)):
                await self._apply(batch[position : position + 1])
        finally:
            _fail(batch, Unavailable("the reports were not stored; send them again"))

    async def _commit(self, sent: Sequence[SentReport]) -> frozenset[tuple[str, int]]:
        async def store(connection: Connection) -> frozenset[tuple[str, int]]:
            party_run_ids = [item.report.party_run_id for item in sent]
            run_ids = await runs.run_ids_of(connection, party_run_ids)
            locked = await runs.lock_runs(connection, run_ids)
            counted = 0
            for round_ in _rounds(sent):
                counted += await reports.apply_reports(connection, round_)
            if counted:
                await settle(connection, locked)
            # Asked last: who was taken over before the reports were applied is told so, because
            # they did not count. Who is taken over now sends them again, which does no harm.
            senders = sorted({(item.federated_id, item.epoch) for item in sent})
            return await reports.stale_senders(connection, senders)

        return await self._database.repeatable(store)


def _fail(batch: _Batch, error: Exception) -> None:
    for _, done in batch:
        if not done.done():
            done.set_exception(error)


def _rounds(sent: Sequence[SentReport]) -> list[list[SentReport]]:
    """Split into sets of different party runs, each party run's reports in order."""
    rounds: list[dict[str, SentReport]] = []
    depth: dict[str, int] = {}
    for item in sent:
        key = item.report.party_run_id
        place = depth.get(key, 0)
        if place == len(rounds):
            rounds.append({})
        rounds[place][key] = item
        depth[key] = place + 1
    return [list(round_.values()) for round_ in rounds]


def _stale(federated_id: str) -> StaleLease:
    return StaleLease(
        "a newer connection of this party has taken over",
        kind=Kind.PARTY,
        subject_id=federated_id,
    )
