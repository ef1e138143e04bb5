"""Brings together what the workloads of a place noted and what its server shows of them."""

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import grpc
import zstandard

from flow_contract.errors import Kind, Unavailable
from flow_contract.lifecycle import PartyRunState
from flow_contract.log_records import LogRecord, records
from flow_contract.logs import LogChunk
from tests.chaos import teller
from tests.chaos.outputs_at import outputs_at
from tests.chaos.parties import insist
from tests.chaos.place import Place, Site
from tests.chaos.told import Told, log_findings, metric_findings
from tests.server.log_client import Reader

HANDED_OVER_S = 60.0
_LOOK_EVERY_S = 0.05
# Folders of an agent with what its server has not acknowledged, one of each party run.
_SPOOLS = ("logs", "metrics", "uploads")


def told_by(site: Site, row: Any, *, large: str, ends_early: bool) -> Told:
    """Return what the workload itself noted of how much it told."""
    output = site.output(row["party_run_id"])

    def noted(name: str) -> int:
        try:
            return int((output / name).read_text() or 0)
        except FileNotFoundError:
            return 0

    return Told(
        key=f"{row['run_id']}/{row['federated_id']}",
        pieces=noted(teller.PIECES),
        batches=noted(teller.BATCHES),
        outputs=noted(teller.OUTPUTS),
        large=large,
        ends_early=ends_early,
    )


async def told_findings(
    place: Place, connection: asyncpg.Connection, row: Any, told: Told
) -> list[str]:
    """Return what is wrong with what the server shows of one party run of a task's newest run."""
    who = f"party run {row['party_run_id']} of {row['federated_id']}"
    site = next(site for site in place.sites if site.party == row["federated_id"])
    if kept := await _kept_at(site, row["party_run_id"]):
        return [f"{who}: the site still keeps {', '.join(kept)} after {HANDED_OVER_S:.0f} s"]
    findings = metric_findings(
        told,
        [
            (point["name"], point["step"], point["value"])
            for point in await connection.fetch(
                "SELECT name, step, value FROM metric_points WHERE party_run_id = $1"
                " ORDER BY sequence",
                row["party_run_id"],
            )
        ],
        dropped=await connection.fetchval(
            "SELECT coalesce(max(dropped), 0) FROM metric_heads WHERE party_run_id = $1",
            row["party_run_id"],
        ),
    )
    if row["state"] == PartyRunState.SUCCEEDED and told.pieces <= teller.LAST_PIECES:
        findings.append(f"it came to its end and noted {told.pieces} pieces")
    if row["state"] == PartyRunState.SUCCEEDED and not told.outputs:
        findings.append("it came to its end and noted no output")
    findings += await outputs_at(place, connection, site, row, told)
    chunks = await insist(lambda: _chunks(place, row))
    end = 0
    for chunk in chunks:
        if chunk.start != end:
            findings.append(f"a chunk begins at {chunk.start}, the one before ended at {end}")
        end = chunk.end
    return [f"{who}: {each}" for each in findings + log_findings(told, _records(chunks))]


async def _kept_at(site: Site, party_run_id: str) -> list[str]:
    kept: list[str] = []
    try:
        async with asyncio.timeout(HANDED_OVER_S):
            while kept := [  # noqa: ASYNC110  others' disks tell nothing
                name for name in _SPOOLS if (site.state_dir / name / party_run_id).exists()
            ]:
                await asyncio.sleep(_LOOK_EVERY_S)
    except TimeoutError:
        return kept
    return []


async def _chunks(place: Place, row: Any) -> list[LogChunk]:
    async with Reader(f"127.0.0.1:{place.client_link.port}") as reader:
        reading = reader.read(row["task_id"], run_id=row["run_id"], parties=(row["federated_id"],))
        try:
            return (await reading.to_the_end()).chunks
        except grpc.aio.AioRpcError as error:
            raise Unavailable(str(error.details()), kind=Kind.SERVER) from error


def _records(chunks: Sequence[LogChunk]) -> list[LogRecord]:
    return [record for chunk in chunks for record in records(zstandard.decompress(chunk.data))]
