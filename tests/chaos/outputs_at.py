"""Brings together what a workload noted of its outputs, what lies at its site, and the server."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import asyncpg

from tests.chaos.parties import insist
from tests.chaos.place import Place, Site
from tests.chaos.told import Told
from tests.chaos.told_outputs import ShownFile, output_findings


async def outputs_at(
    place: Place, connection: asyncpg.Connection, site: Site, row: Any, told: Told
) -> list[str]:
    """Return what is wrong with one party run's outputs, once its site has let go of them."""
    party_run_id = row["party_run_id"]
    lay = await asyncio.to_thread(_read_all, site.output(party_run_id))
    shown = await _shown(place, row)
    if isinstance(shown, str):
        return [shown]
    findings = output_findings(told, lay, shown)
    made = await connection.fetchrow("SELECT * FROM outputs WHERE party_run_id = $1", party_run_id)
    if made is None or not made["complete"]:
        return [*findings, "the server waits for outputs for ever"] if lay else findings
    if made["withheld"] or made["skipped_count"]:
        findings.append(f"{made['skipped_count']} were left out: {made['skipped']}")
    halves = await connection.fetch(
        "SELECT name, stored_parts FROM output_uploads WHERE party_run_id = $1", party_run_id
    )
    return findings + [f"{each['name']!r} is on its way for ever" for each in halves]


async def _shown(place: Place, row: Any) -> list[ShownFile] | str:
    """Return what a user can download, or why it can't be."""
    with tempfile.TemporaryDirectory(dir=place.folder, prefix="got-") as folder:

        async def download() -> dict[str, Any]:
            return await place.sdk.task.download(
                row["task_id"], folder, party=row["federated_id"], run_id=row["run_id"]
            )

        answer = await insist(download)
        if answer["ret_code"] != 0:
            return f"its outputs can't be downloaded: {answer}"
        return [
            ShownFile(
                name=file["name"],
                sha256=bytes.fromhex(file["sha256"]),
                data=await asyncio.to_thread(Path(file["path"]).read_bytes),
            )
            for file in answer["data"]["files"]
        ]


def _read_all(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }
