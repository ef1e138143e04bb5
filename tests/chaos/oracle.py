"""Says what is wrong after a schedule, from PostgreSQL, the engine and the sites' disks alone."""

import asyncio
import contextlib
from itertools import pairwise
from typing import Any

import asyncpg
from docker.errors import DockerException
from requests.exceptions import RequestException

from flow_contract.lifecycle import PartyRunState, RunStatus, is_final, is_final_status
from tests.chaos.database import connect
from tests.chaos.evidence import Evidence, engine_evidence, process_evidence, started_twice
from tests.chaos.leftovers import containers_at, unsent_outputs, workload_processes
from tests.chaos.obeyed import drain_findings, limit_findings
from tests.chaos.paths import path_findings
from tests.chaos.place import KEPT_RUNS, Place, Site
from tests.chaos.schedule import Schedule
from tests.chaos.steps import DiskLog, EngineLog
from tests.chaos.told_at import told_by, told_findings
from tests.chaos.toll import Toll

CLEAN_S = 60.0
SWEPT_S = 30.0
_LOOK_EVERY_S = 0.05


class Oracle:
    """Judges tasks of one place once their runs have had their time."""

    def __init__(self, place: Place, log: EngineLog | DiskLog) -> None:
        self._place = place
        self._log = log
        self._sites = {site.party: site for site in place.sites}

    async def judge(
        self,
        schedule: Schedule,
        tasks: list[str],
        shown: dict[str, dict[str, Any]],
        toll: Toll,
    ) -> list[str]:
        """Return one sentence per promise that was broken; `shown` is what the SDK's wait said."""
        connection = await connect(self._place.database.url)
        try:
            findings = await self._judge(connection, schedule, [*tasks, *toll.refused], shown, toll)
            if self._place.kind.keeps_by_number:
                findings += await _kept_too_many(connection)
        finally:
            await connection.close()
        for daemon in self._place.daemons:
            findings += [f"{daemon.name} ended by itself with {code}" for code in daemon.surprises]
            daemon.surprises.clear()
        return findings + self._place.complaints()

    async def _judge(
        self,
        connection: asyncpg.Connection,
        schedule: Schedule,
        tasks: list[str],
        shown: dict[str, dict[str, Any]],
        toll: Toll,
    ) -> list[str]:
        party_runs = await connection.fetch(
            "SELECT party_runs.*, runs.launch_ordered_at, runs.task_id, runs.created_at,"
            " run_id = latest_run_id AS is_latest"
            " FROM party_runs JOIN runs USING (run_id) JOIN tasks USING (task_id)"
            " WHERE task_id = ANY($1)",
            tasks,
        )
        findings = await self._left_behind({row["party_run_id"] for row in party_runs})
        for run in await connection.fetch(
            "SELECT runs.*, run_id = latest_run_id AS is_latest FROM runs"
            " JOIN tasks USING (task_id) WHERE task_id = ANY($1)",
            tasks,
        ):
            if not is_final_status(RunStatus(run["status"])):
                findings.append(f"run {run['run_id']} is {run['status']} for ever")
            told = shown.get(run["task_id"])
            if run["is_latest"] and told is not None and told["status"] != run["status"]:
                findings.append(f"wait said {told['status']}, the row says {run['status']}")
        doubled = await asyncio.to_thread(started_twice, self._log, self._place)
        findings += [f"party run {each} was started twice" for each in doubled]
        for row in party_runs:
            findings += self._of_party_run(row, toll)
            findings += limit_findings(row, schedule, toll) + drain_findings(row, toll)
            events = await connection.fetch(
                "SELECT * FROM events WHERE party_run_id = $1 ORDER BY event_id",
                row["party_run_id"],
            )
            findings += path_findings(row, events)
            # Older ones may be removed while they are read.
            if row["is_latest"] and row["launch_ordered_at"] is not None:
                site = self._sites[row["federated_id"]]
                hurt = self._hurt(site, row["party_run_id"], toll)
                told = told_by(site, row, large=schedule.large, ends_early=hurt)
                findings += await told_findings(self._place, connection, row, told)
        return findings + await _gpus_held_twice(connection)

    def _of_party_run(self, row: asyncpg.Record, toll: Toll) -> list[str]:
        who = f"party run {row['party_run_id']} of {row['federated_id']}"
        site = self._sites[row["federated_id"]]
        found = self._evidence(site, row["party_run_id"], toll)
        findings = []
        if not is_final(PartyRunState(row["state"])):
            findings.append(f"{who} is {row['state']} for ever")
        if found.starts and row["launch_ordered_at"] is None:
            findings.append(f"{who} was started, and its run was never launched")
        if row["exit_code"] not in found.exit_codes:
            findings.append(
                f"{who} is {row['state']} ({row['reason']}) with exit code {row['exit_code']},"
                f" its own was one of {sorted(found.exit_codes, key=str)}"
            )
        journaled = site.sequences().get(row["party_run_id"], 0)
        counted = row["report_sequence"]
        if counted > journaled:
            findings.append(f"{who} counts report {counted} of {journaled} journaled")
        # Before the launch the server may end it over the head of an absent agent.
        if counted < journaled and row["launch_ordered_at"] is not None:
            findings.append(f"{who} lost reports: {counted} counted, {journaled} journaled")
        return findings

    def _evidence(self, site: Site, party_run_id: str, toll: Toll) -> Evidence:
        if isinstance(self._log, EngineLog) and not site.is_private:
            found = engine_evidence(self._log, party_run_id)
        else:
            found = process_evidence(site.output(party_run_id))
        return found.or_unknown() if self._hurt(site, party_run_id, toll) else found

    def _hurt(self, site: Site, party_run_id: str, toll: Toll) -> bool:
        """Say whether what ran it was hurt, or lost its record: then it may miss its end."""
        return (site.is_private and toll.touched("engine")) or party_run_id in toll.vanished

    async def _left_behind(self, party_run_ids: set[str]) -> list[str]:
        """Wait until the sites hold nothing of these; return what they still hold then."""
        left: list[str] = []
        try:
            async with asyncio.timeout(CLEAN_S):
                while left := await self._held(party_run_ids):  # noqa: ASYNC110  others' disks tell nothing
                    await asyncio.sleep(_LOOK_EVERY_S)
        except TimeoutError:
            return left
        return []

    async def _held(self, party_run_ids: set[str]) -> list[str]:
        left = [
            f"{site.party} still holds {party_run_id}, and its GPUs"
            for site in self._place.sites
            for party_run_id in site.journaled() & party_run_ids
        ]
        # Also of those that never began, and of runs that were deleted meanwhile.
        left += [
            f"{site.party} still has outputs of {party_run_id} to send"
            for site in self._place.sites
            for party_run_id in unsent_outputs(site) & party_run_ids
        ]
        if isinstance(self._log, EngineLog):
            return left + await asyncio.to_thread(self._containers)
        return left + [
            f"process {pid} is left: {command}"
            for pid, command in workload_processes(self._place.folder).items()
        ]

    def _containers(self) -> list[str]:
        left = []
        for site in self._place.sites:
            try:
                with contextlib.closing(site.engine_client()) as client:
                    found = containers_at(client, site)
            except (DockerException, RequestException) as error:
                left.append(f"the engine of {site.party} does not answer: {error}")
                continue
            left += [
                f"container {each['Names']} is left: {each['Status']}"
                for each in found
                if each["Labels"]["io.fedflow.role"] == "workload"
            ]
        return left


async def _kept_too_many(connection: asyncpg.Connection) -> list[str]:
    """Wait until the server has swept; return the tasks of which it keeps too many runs then."""
    left: list[asyncpg.Record] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SWEPT_S):
            while left := await connection.fetch(  # noqa: ASYNC110  a deletion tells nobody
                "SELECT task_id, count(*) FROM runs GROUP BY task_id HAVING count(*) > $1",
                KEPT_RUNS,
            ):
                await asyncio.sleep(_LOOK_EVERY_S)
    return [f"task {row['task_id']} keeps {row['count']} runs, not {KEPT_RUNS}" for row in left]


async def _gpus_held_twice(connection: asyncpg.Connection) -> list[str]:
    rows = await connection.fetch(
        "SELECT federated_id, gpu, party_run_id, started_at, finished_at FROM party_runs,"
        " jsonb_array_elements_text(gpu_ids) AS gpu"
        " WHERE started_at IS NOT NULL ORDER BY federated_id, gpu, started_at"
    )
    return [
        f"{before['gpu']} of {before['federated_id']} was held by {before['party_run_id']}"
        f" until {before['finished_at']} and by {after['party_run_id']} from {after['started_at']}"
        for before, after in pairwise(rows)
        if (before["federated_id"], before["gpu"]) == (after["federated_id"], after["gpu"])
        and (before["finished_at"] is None or before["finished_at"] > after["started_at"])
    ]
