"""Says what is wrong after a schedule, from PostgreSQL, the engine and the sites' disks alone."""

import asyncio
from itertools import pairwise
from typing import Any

import asyncpg

from flow_contract.lifecycle import PartyRunState, RunStatus, is_final, is_final_status
from tests.chaos.database import connect
from tests.chaos.evidence import Evidence, engine_evidence, process_evidence
from tests.chaos.leftovers import containers_of, workload_processes
from tests.chaos.paths import path_findings
from tests.chaos.place import Place, Site
from tests.chaos.steps import DiskLog, EngineLog

CLEAN_S = 60.0
_LOOK_EVERY_S = 0.05


class Oracle:
    """Judges tasks of one place once their runs have had their time."""

    def __init__(self, place: Place, log: EngineLog | DiskLog) -> None:
        self._place = place
        self._log = log
        self._sites = {site.party: site for site in place.sites}

    async def judge(self, tasks: list[str], shown: dict[str, dict[str, Any]]) -> list[str]:
        """Return one sentence per promise that was broken; `shown` is what the SDK's wait said."""
        connection = await connect(self._place.database.url)
        try:
            findings = await self._judge(connection, tasks, shown)
        finally:
            await connection.close()
        for daemon in self._place.daemons:
            findings += [f"{daemon.name} ended by itself with {code}" for code in daemon.surprises]
            daemon.surprises.clear()
        return findings + self._place.complaints()

    async def _judge(
        self, connection: asyncpg.Connection, tasks: list[str], shown: dict[str, dict[str, Any]]
    ) -> list[str]:
        party_runs = await connection.fetch(
            "SELECT party_runs.*, runs.launch_ordered_at, runs.task_id FROM party_runs"
            " JOIN runs USING (run_id) WHERE task_id = ANY($1)",
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
        for row in party_runs:
            findings += self._of_party_run(row)
            events = await connection.fetch(
                "SELECT * FROM events WHERE party_run_id = $1 ORDER BY event_id",
                row["party_run_id"],
            )
            findings += path_findings(row, events)
        return findings + await _gpus_held_twice(connection)

    def _of_party_run(self, row: asyncpg.Record) -> list[str]:
        who = f"party run {row['party_run_id']} of {row['federated_id']}"
        site = self._sites[row["federated_id"]]
        found = self._evidence(site, row["party_run_id"])
        findings = []
        if not is_final(PartyRunState(row["state"])):
            findings.append(f"{who} is {row['state']} for ever")
        if found.starts > 1:
            findings.append(f"{who} was started {found.starts} times")
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

    def _evidence(self, site: Site, party_run_id: str) -> Evidence:
        if isinstance(self._log, EngineLog):
            return engine_evidence(self._log, party_run_id)
        return process_evidence(site.output(party_run_id))

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
        if isinstance(self._log, EngineLog):
            found = await asyncio.to_thread(containers_of, self._log.client, self._place)
            return left + [
                f"container {each['Names']} is left: {each['Status']}"
                for each in found
                if each["Labels"]["io.fedflow.role"] == "workload"
            ]
        return left + [
            f"process {pid} is left: {command}"
            for pid, command in workload_processes(self._place.folder).items()
        ]


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
