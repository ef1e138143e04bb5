"""A server without space: the agent says so and tries again, and nothing is lost."""

import hashlib
import os
import subprocess

import pytest

from flow_contract.outputs import PART_BYTES

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small disk")

LARGE_BYTES = 4 * PART_BYTES
MAKE = f"cd $FEDFLOW_OUTPUT_DIR; head -c {LARGE_BYTES} /dev/urandom > model; echo 1 > small"


@pytest.fixture
def small_disk(short_folder):
    """Where the server keeps its blobs, before it is made: 12 MiB."""
    blobs = short_folder / "server" / "blobs"
    blobs.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "none", blobs], check=True)
    yield blobs
    subprocess.run(["umount", "--lazy", blobs], check=True)


def grow(disk):
    subprocess.run(["mount", "-o", "remount,size=200m", disk], check=True)


async def test_a_server_without_space_gets_the_rest_when_it_has_some(small_disk, stage, capsys):
    site = stage.site()
    await site.start()
    task_id = await stage.started(MAKE)
    await stage.until(task_id, lambda party: party.coming and party.coming[0].stored_bytes > 0)
    said = ""
    while said.count("outputs_not_pushed") < 2:
        await stage.until(task_id, lambda _: True)
        said += capsys.readouterr().out
    assert "blob store" in said
    (party,) = (await stage.sdk.task.outputs(task_id))["data"]["parties"]
    assert (party["complete"], party["coming"][0]["stored_bytes"]) == (False, PART_BYTES)
    grow(small_disk)
    await stage.complete(task_id)
    got = await stage.contents(task_id)
    assert set(got) == {"model", "small"}
    wanted = hashlib.sha256(site.made("model")).digest()
    assert hashlib.sha256(got["model"]).digest() == wanted
    # Of the attempts that failed nothing is left.
    left = sum(path.stat().st_size for path in small_disk.rglob("*") if path.is_file())
    assert left == LARGE_BYTES + 2
