"""Taking logs in from agents: the blob first, then its row, then the word that it is stored.

A chunk is stored where its log ends or nowhere, so whatever an agent sends twice, late or over
two connections, the log has neither a hole nor a repeat.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flow_contract import checks
from flow_contract.errors import FlowError, Forbidden, InvalidArgument, Kind, StaleLease
from flow_contract.logs import LogChunk, LogClosed, LogEnd, LogState, check_chunk
from flow_server.domain.log_keys import chunk_key
from flow_server.services.admissions import admit, not_admitted
from flow_server.services.batches import Batches
from flow_server.storage import certificates, logs
from flow_server.storage.blobs import Blobs
from flow_server.storage.changes import notify_logs
from flow_server.storage.database import Connection, Database

MAX_OPENED = 1000
_IN_FLIGHT = 2
_MAX_BATCH = 2000


@dataclass(frozen=True, kw_only=True)
class Sender:
    """The party that pushes, and its certificate's serial number; None where nobody shows one."""

    federated_id: str
    serial: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Submission:
    sender: Sender
    spans: Sequence[Sequence[LogChunk]]


class LogPushService:
    """Stores pushed chunks, those of many agents in one transaction.

    Invariant: `append` returns only after the commit that holds its chunks.
    """

    def __init__(self, database: Database, blobs: Blobs, *, most_bytes: int) -> None:
        """Take `most_bytes` of one party run's log, and a chunk more at most."""
        self._database = database
        self._blobs = blobs
        self._most_bytes = most_bytes
        self._batches = Batches(
            self._apply,
            in_flight=_IN_FLIGHT,
            most=_MAX_BATCH,
            weigh=lambda submission: sum(len(span) for span in submission.spans),
            # Two connections of one party may bring the same log.
            key=lambda submission: submission.sender.federated_id,
        )

    async def run(self) -> None:
        """Store what is pushed until cancelled."""
        await self._batches.run()

    async def open(
        self, sender: Sender, party_run_ids: Sequence[str]
    ) -> tuple[list[LogEnd], dict[str, str]]:
        """Return where these logs end, and the run of each that takes more.

        Raises:
            Forbidden: one is another party's, or the certificate is not good any more.
            InvalidArgument: too many, or no ids.
        """
        checks.number("party_run_ids", len(party_run_ids), least=0, most=MAX_OPENED)
        checks.texts("party_run_ids", party_run_ids, max_bytes=2**20)
        async with self._database.transaction() as connection:
            if sender.serial is not None:
                await admit(connection, federated_id=sender.federated_id, serial=sender.serial)
            found = await logs.open_logs(
                connection, federated_id=sender.federated_id, party_run_ids=party_run_ids
            )
        if others := [log for log in found if log.federated_id != sender.federated_id]:
            raise Forbidden(
                "this party run is another party's; an agent pushes its own logs only",
                kind=Kind.PARTY_RUN,
                subject_id=others[0].party_run_id,
                field="party_run_ids",
            )
        known = {log.party_run_id: log for log in found}
        ends = [
            LogEnd(party_run_id=party_run_id, end=0, state=LogState.GONE)
            if (log := known.get(party_run_id)) is None
            else self._end(party_run_id, log.end, is_complete=log.complete)
            for party_run_id in party_run_ids
        ]
        return ends, {log.party_run_id: log.run_id for log in found}

    async def append(self, sender: Sender, chunks: Sequence[tuple[str, LogChunk]]) -> list[LogEnd]:
        """Store chunks, each with its run's id, in order; return where their logs end now.

        Raises:
            StaleLease: a chunk does not begin where its log ends; ask anew where that is.
            Forbidden: the certificate is not good any more.
            InvalidArgument: a chunk can't be stored.
            Unavailable: neither rows nor blobs can be written now.
        """
        for _, chunk in chunks:
            check_chunk(chunk)
        spans = _spans([chunk for _, chunk in chunks])
        await self._put(chunks)
        stored = await self._batches.submit(_Submission(sender=sender, spans=spans))
        if any(span[0].party_run_id not in stored for span in spans):
            raise out_of_place(next(iter(spans))[0].party_run_id)
        return [self._end(span[-1].party_run_id, span[-1].end) for span in spans]

    async def close(self, sender: Sender, closed: LogClosed) -> LogEnd:
        """Take it that nothing follows. May be said again.

        Raises:
            StaleLease: the log does not end there.
            Forbidden: the certificate is not good any more.
            Unavailable: the database can't be written now.
        """
        async with self._database.transaction() as connection:
            if sender.serial is not None:
                await admit(connection, federated_id=sender.federated_id, serial=sender.serial)
            run_id = await logs.close(connection, closed)
            if run_id is None:
                raise out_of_place(closed.party_run_id)
            await notify_logs(connection, [run_id])
        return LogEnd(party_run_id=closed.party_run_id, end=closed.end, state=LogState.CLOSED)

    def _end(self, party_run_id: str, end: int, *, is_complete: bool = False) -> LogEnd:
        state = LogState.FULL if end >= self._most_bytes else LogState.OPEN
        if is_complete:
            state = LogState.CLOSED
        return LogEnd(party_run_id=party_run_id, end=end, state=state)

    async def _put(self, chunks: Sequence[tuple[str, LogChunk]]) -> None:
        await self._blobs.put_all(
            [
                (chunk_key(run_id, chunk.party_run_id, chunk.start, chunk.raw_bytes), chunk.data)
                for run_id, chunk in chunks
            ]
        )

    async def _apply(self, submissions: Sequence[_Submission]) -> list[frozenset[str] | FlowError]:
        async def store(connection: Connection) -> tuple[frozenset[str], frozenset[str]]:
            serials = {item.sender.serial for item in submissions} - {None}
            good = (
                await certificates.good_serials(connection, sorted(str(one) for one in serials))
                if serials
                else frozenset[str]()
            )
            spans = [span for item in submissions if _is_good(item, good) for span in item.spans]
            if not spans:
                return good, frozenset()
            run_ids, stored = await logs.append(connection, spans)
            if run_ids:
                await notify_logs(connection, sorted(run_ids))
            return good, frozenset(stored)

        good, stored = await self._database.repeatable(store)
        return [
            stored if _is_good(item, good) else not_admitted(item.sender.federated_id)
            for item in submissions
        ]


def out_of_place(party_run_id: str) -> StaleLease:
    """Return the error for a chunk that does not begin where its log ends."""
    return StaleLease(
        "the log ends elsewhere; say hello again to learn where",
        kind=Kind.PARTY_RUN,
        subject_id=party_run_id,
    )


def _is_good(submission: _Submission, good: frozenset[str]) -> bool:
    serial = submission.sender.serial
    return serial is None or serial in good


def _spans(chunks: Sequence[LogChunk]) -> list[list[LogChunk]]:
    spans: dict[str, list[LogChunk]] = {}
    for chunk in chunks:
        span = spans.setdefault(chunk.party_run_id, [])
        if span and span[-1].end != chunk.start:
            raise InvalidArgument("start: there is a gap before this chunk", field="start")
        span.append(chunk)
    return list(spans.values())
