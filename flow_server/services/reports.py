"""Taking agents' reports in: group commit, nothing acknowledged before it is stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from flow_contract.assignments import Report
from flow_contract.errors import FlowError, Kind, StaleLease
from flow_server.domain.reports import normalise
from flow_server.services.batches import Batches
from flow_server.services.transitions import settle
from flow_server.storage import reports, runs
from flow_server.storage.database import Connection, Database
from flow_server.storage.reports import SentReport

_IN_FLIGHT = 2
_MAX_BATCH = 2000


@dataclass(frozen=True, kw_only=True)
class _Submission:
    federated_id: str
    epoch: int
    sent: Sequence[SentReport]


class ReportService:
    """Applies reports in batches.

    Invariant: `submit` returns only after the commit that holds its reports.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._batches = Batches(
            self._apply,
            in_flight=_IN_FLIGHT,
            most=_MAX_BATCH,
            weigh=lambda submission: len(submission.sent),
        )

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
        await self._batches.submit(_Submission(federated_id=federated_id, epoch=epoch, sent=sent))

    async def run(self) -> None:
        """Apply what is submitted until cancelled."""
        await self._batches.run()

    async def _apply(self, submissions: Sequence[_Submission]) -> list[FlowError | None]:
        sent = [item for submission in submissions for item in submission.sent]

        async def store(connection: Connection) -> frozenset[tuple[str, int]]:
            return await _store(connection, sent)

        stale = await self._database.repeatable(store)
        return [
            _stale(submission.federated_id)
            if (submission.federated_id, submission.epoch) in stale
            else None
            for submission in submissions
        ]


async def _store(connection: Connection, sent: Sequence[SentReport]) -> frozenset[tuple[str, int]]:
    """Apply reports; return their senders that are not the present connection."""
    locked = await runs.lock_runs_of_party_runs(
        connection, [item.report.party_run_id for item in sent]
    )
    run_ids = [run.run_id for run in locked]
    rounds = [await reports.apply_reports(connection, one, run_ids) for one in _rounds(sent)]
    changed = frozenset[str]().union(*(applied.changed for applied in rounds))
    # The last round's tallies hold what the earlier ones did.
    await settle(connection, [run for run in locked if run.run_id in changed], rounds[-1].tallies)
    # Who is taken over from now on sends again what counted, which does no harm.
    return frozenset[tuple[str, int]]().union(*(applied.stale for applied in rounds))


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
