"""Taking workloads' metrics in, and showing them."""

from dataclasses import dataclass

from flow_contract import checks
from flow_contract.access import Caller
from flow_contract.errors import Forbidden, Kind, NotFound
from flow_contract.metrics import (
    MAX_LISTED,
    MAX_NAME_LENGTH,
    MetricBatch,
    PartyMetrics,
    Place,
    check_batch,
    read_place,
)
from flow_server.domain.access import RULES, decide
from flow_server.services.admissions import admit
from flow_server.storage import metrics, tasks
from flow_server.storage.database import Connection, Database


@dataclass(frozen=True, kw_only=True)
class MetricPage:
    """One page of a run's metrics; `next` is None at the end."""

    run_id: str
    parties: list[PartyMetrics]
    next: Place | None


class MetricService:
    """Stores and reads metric points."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def push(
        self, federated_id: str, batch: MetricBatch, *, serial: str | None = None
    ) -> int:
        """Store a party's batch; return the number of the last point that is stored.

        `serial` is its certificate's, None where nobody shows one.

        Raises:
            InvalidArgument: the batch can't be stored.
            NotFound: there is no such party run (any more).
            Forbidden: it is another party's, or the certificate is not good any more.
        """
        check_batch(batch)

        async def store(connection: Connection) -> int:
            if serial is not None:
                await admit(connection, federated_id=federated_id, serial=serial)
            owner = await metrics.owner_of(connection, batch.party_run_id)
            if owner is None:
                raise NotFound(
                    f"party run {batch.party_run_id!r} does not exist; it may have been deleted",
                    kind=Kind.RUN,
                    subject_id=batch.party_run_id,
                )
            if owner != federated_id:
                raise Forbidden(
                    "this party run is another party's; push your own",
                    kind=Kind.PARTY,
                    subject_id=federated_id,
                    field="batch.party_run_id",
                )
            return await metrics.store(connection, batch)

        return await self._database.repeatable(store)

    async def list(
        self,
        task_id: str,
        *,
        run_id: str = "",
        federated_id: str = "",
        name: str = "",
        after: str = "",
        limit: int,
        caller: Caller,
    ) -> MetricPage:
        """Return one page of a run's points, by rank and number; "" means newest, all, all.

        Raises:
            NotFound: no such task, or no such run of it, or it never ran.
            Forbidden: the task is another user's.
            InvalidArgument: `limit` or `after`.
        """
        for field, value in (("task_id", task_id), ("run_id", run_id)):
            checks.text(field, value)
        checks.text("federated_id", federated_id)
        checks.text("name", name, max_chars=MAX_NAME_LENGTH)
        checks.number("limit", limit, least=1, most=MAX_LISTED)
        place = read_place(after)
        async with self._database.snapshot() as connection:
            decide(RULES["MetricService/List"], caller, await tasks.owner_of(connection, task_id))
            found = await metrics.run_of(connection, task_id, run_id)
            if found is None:
                raise NotFound(
                    f"run {run_id!r} of this task does not exist"
                    if run_id
                    else "the task was never started, so nothing was measured",
                    kind=Kind.RUN,
                    subject_id=run_id,
                )
            wanted = metrics.Wanted(run_id=found, federated_id=federated_id, name=name)
            parties, next_place = await metrics.page(connection, wanted, place, limit)
        return MetricPage(run_id=found, parties=parties, next=next_place)
