"""Reading tasks as they are shown, with the run that their status comes from: many at once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from flow_contract.lifecycle import RunStatus
from flow_contract.runs import PartyRun
from flow_contract.tasks import Task, TaskSpec
from flow_server.domain.retries import announcement
from flow_server.storage.database import Connection
from flow_server.storage.documents import to_federate_data
from flow_server.storage.party_runs import party_runs_of
from flow_server.storage.statements import Statement

_SHOWN = """
    tasks.task_id, tasks.name, tasks.template_id, tasks.remark, tasks.federate_data,
    tasks.create_time, tasks.modify_time, tasks.owner,
    runs.run_id, runs.status, runs.message, runs.moved_at, runs.retry_at
"""

_READ = Statement(
    f"""
    SELECT asked.place, repeats.run_id AS repeated_by, {_SHOWN}
    FROM unnest(CAST(:task_ids AS text[]), CAST(:run_ids AS text[])) WITH ORDINALITY
         AS asked(task_id, run_id, place)
    JOIN tasks ON tasks.task_id = asked.task_id
    LEFT JOIN runs ON runs.run_id = coalesce(asked.run_id, tasks.latest_run_id)
                  AND runs.task_id = tasks.task_id
    LEFT JOIN runs AS repeats ON repeats.retry_of = asked.run_id
    """  # noqa: S608 - a literal of this file
)

_NAMES_PARTY = """
    federate_data @> jsonb_build_array(
      jsonb_build_object('federated_id', CAST(:federated_id AS text)))
"""


def _page_of(matches: str) -> Statement:
    return Statement(
        f"""
        SELECT {_SHOWN}
        FROM (
          SELECT * FROM tasks WHERE {matches} ORDER BY create_time, task_id
          OFFSET CAST(:skipped AS bigint) LIMIT CAST(:most AS bigint)
        ) AS tasks
        LEFT JOIN runs ON runs.run_id = tasks.latest_run_id
        ORDER BY tasks.create_time, tasks.task_id
        """  # noqa: S608 - the parts are literals of this file
    )


def _count_of(matches: str) -> Statement:
    return Statement(f"SELECT count(*) AS number FROM tasks WHERE {matches}")  # noqa: S608 - as above


_OWNED = "owner = CAST(:owner AS text)"
# By which of (party, owner) is asked for: a condition that is not there needs no index.
_LISTINGS = {
    (by_party, by_owner): (_page_of(matches), _count_of(matches))
    for by_party, by_owner, matches in (
        (False, False, "true"),
        (True, False, _NAMES_PARTY),
        (False, True, _OWNED),
        (True, True, f"{_NAMES_PARTY} AND {_OWNED}"),
    )
}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A task to be read, with the status of `run_id`, None for that of its newest run."""

    task_id: str
    run_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Found:
    """A task as asked for. `repeated_by` is the run that repeats the one asked for, if any.

    If the task has no such run, it looks as if it had never been started.
    """

    task: Task
    repeated_by: str | None


async def read_tasks(connection: Connection, asked: Sequence[Asked]) -> list[Found | None]:
    """Return what was asked for, None for a task that isn't there, in two statements.

    Raises:
        InvalidArgument: the runs have more parties than the server can hold at once.
    """
    rows = await _READ.rows(
        connection,
        task_ids=[each.task_id for each in asked],
        run_ids=[each.run_id for each in asked],
    )
    party_runs = await _party_runs(connection, rows)
    found = {
        row["place"]: Found(task=_task(row, party_runs), repeated_by=row["repeated_by"])
        for row in rows
    }
    return [found.get(place) for place in range(1, len(asked) + 1)]


async def list_tasks(
    connection: Connection, *, federated_id: str, owner: str | None, offset: int, limit: int
) -> tuple[list[Task], int]:
    """Return one page, oldest first, and the number of all that match, in three statements.

    Only tasks that name `federated_id`; "" matches all. Only those of `owner`; None matches all.

    Raises:
        InvalidArgument: the page has more parties than the server can hold at once.
    """
    page, count = _LISTINGS[bool(federated_id), owner is not None]
    matches = {"federated_id": federated_id} if federated_id else {}
    if owner is not None:
        matches["owner"] = owner
    rows = await page.rows(connection, skipped=offset, most=limit, **matches)
    total = (await count.rows(connection, **matches))[0]["number"]
    party_runs = await _party_runs(connection, rows)
    return [_task(row, party_runs) for row in rows], total


async def _party_runs(
    connection: Connection, rows: Iterable[asyncpg.Record]
) -> Mapping[str, tuple[PartyRun, ...]]:
    return await party_runs_of(connection, list({row["run_id"] for row in rows if row["run_id"]}))


def _shown(row: asyncpg.Record) -> tuple[RunStatus, str]:
    # The run has failed and stays so; the task it belongs to has not, as long as it is repeated.
    if row["retry_at"] is not None:
        return RunStatus.PENDING, announcement(row["retry_at"], row["message"])
    return RunStatus(row["status"]), row["message"]


def _task(row: asyncpg.Record, party_runs: Mapping[str, tuple[PartyRun, ...]]) -> Task:
    run_id = row["run_id"]
    started = run_id is not None
    status, message = _shown(row) if started else (None, "")
    return Task(
        task_id=row["task_id"],
        spec=TaskSpec(
            name=row["name"],
            template_id=row["template_id"],
            remark=row["remark"],
            federate_data=to_federate_data(row["federate_data"]),
        ),
        status=status,
        run_id=run_id,
        run_message=message,
        party_runs=party_runs.get(run_id, ()) if started else None,
        create_time=row["create_time"],
        modify_time=max(row["modify_time"], row["moved_at"]) if started else row["modify_time"],
        owner=row["owner"],
    )
