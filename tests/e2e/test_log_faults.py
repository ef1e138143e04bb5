"""What workloads, disks and clocks do to logs between a workload's pipes and its user."""

import asyncio
import contextlib
import os
import re
import subprocess

import pytest
import zstandard

from flow_contract.log_records import LogStream, records
from tests.e2e.log_stage import ONE, followed, started
from tests.server.log_client import Reader

pytestmark = pytest.mark.timeout(300)

LINES = 1_000_000
GATE = 'while [ ! -e "$FEDFLOW_OUTPUT_DIR/{0}" ]; do sleep 0.02; done; '
SAY = 'touch "$FEDFLOW_OUTPUT_DIR/{0}"; '


@contextlib.contextmanager
def small_disk(folder, size):
    """Lay a disk of this size over `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def output_of(site):
    """Return the only run's output directory."""
    async with asyncio.timeout(60):
        while not (found := list((site.folder / "outputs").glob("*"))):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return found[0]


async def there(path):
    async with asyncio.timeout(60):
        while not path.exists():  # noqa: ASYNC110  files give no event
            await asyncio.sleep(0.02)


async def ended(stage, task_id):
    done = await stage.sdk.task.wait(task_id, timeout_s=100)
    return done["data"]["status"]


def room_of(disk):
    """Return how many bytes are free."""
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


def place_after(found, stream, written):
    """Follow a stream through its records and marks; return where in `written` it got to."""
    place, dropped = 0, re.compile(rb"(\d+) bytes dropped from " + stream.name.lower().encode())
    for record in found:
        if record.stream is LogStream.MARK and (mark := dropped.fullmatch(record.data)):
            place += int(mark[1])
        elif record.stream is stream:
            assert written.startswith(record.data, place)
            place += len(record.data)
    return place


async def test_a_million_lines_arrive_while_another_floods_and_a_stop_is_obeyed(stage):
    site = stage.site(log_bytes_of_site=200 * 1024**2)
    await site.start()
    flood_id = await started(stage, "yes flood", name="flood")
    task_id = await started(stage, f"seq {LINES}; " + GATE.format("go"), name="lines")
    reading = asyncio.create_task(followed(stage, task_id))
    async with asyncio.timeout(60):
        while (await stage.sdk.task.get(task_id))["data"]["status"] != "Running":  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    # A hung agent would neither stop it nor be taken for connected.
    assert (await stage.sdk.task.stop(flood_id))["ret_code"] == 0
    assert await ended(stage, flood_id) == "Cancelled"
    assert (await stage.sdk.party.get(ONE[0]))["data"]["connected"]
    for output in (site.folder / "outputs").glob("*"):
        (output / "go").touch()
    assert await ended(stage, task_id) == "Succeeded"
    got = await reading
    assert got.text() == b"".join(b"%d\n" % number for number in range(1, LINES + 1))


async def test_a_line_of_ten_megabytes_and_bytes_of_no_encoding_reach_the_user(stage):
    site = stage.site()
    await site.start()
    task_id = await started(
        stage,
        "head -c 10000000 /dev/zero | tr '\\000' x; printf '\\n\\377\\376 h\\303\\251\\n';"
        ' head -c 100000 /dev/urandom | tee "$FEDFLOW_OUTPUT_DIR/noise"; echo; echo last',
    )
    assert await ended(stage, task_id) == "Succeeded"
    lines = [line async for line in stage.sdk.task.logs(task_id, follow=True)]
    raw = b"".join(line.raw + (b"" if line.is_cut else b"\n") for line in lines)
    noise = (await output_of(site) / "noise").read_bytes()
    assert raw == b"x" * 10_000_000 + b"\n\xff\xfe h\xc3\xa9\n" + noise + b"\nlast\n"
    # One line in pieces of a megabyte, and text of what is none.
    assert [line.is_cut for line in lines[:10]] == [True] * 9 + [False]
    assert max(len(line.raw) for line in lines) <= 1024 * 1024
    assert lines[10].text == "\ufffd\ufffd hé"


async def test_a_full_disk_at_the_site_holds_no_workload_up_and_what_is_missing_is_said(
    stage,
):
    site = stage.site()
    with small_disk(site.logs, "400k") as disk:
        filler = disk / "filler"
        filler.write_bytes(bytes(200_000))
        await site.start()
        task_id = await started(
            stage,
            "seq 100000; " + SAY.format("full") + GATE.format("on") + "echo after; echo oh >&2",
        )
        output = await output_of(site)
        await there(output / "full")
        # Another run begins, and ends, while there is no room at all.
        other_id = await started(stage, "echo hello", name="other")
        assert await ended(stage, other_id) == "Succeeded"
        filler.unlink()
        (output / "on").touch()
        assert await ended(stage, task_id) == "Succeeded"
        got = await followed(stage, task_id)
    found = [each for chunk in got.chunks for each in records(zstandard.decompress(chunk.data))]
    written = b"".join(b"%d\n" % number for number in range(1, 100_001)) + b"after\n"
    assert place_after(found, LogStream.STDOUT, written) == len(written)
    assert place_after(found, LogStream.STDERR, b"oh\n") == 3
    kept = b"".join(record.data for record in found if record.stream is LogStream.STDOUT)
    assert 100_000 < len(kept) < 400_000
    assert kept.endswith(b"after\n")


async def test_a_full_disk_at_the_server_costs_no_byte(stage, tmp_path):
    site = stage.site()
    with small_disk(tmp_path / "server" / "blobs", "300k") as disk:
        await site.start()
        noise = 'head -c 1000000 /dev/urandom | tee "$FEDFLOW_OUTPUT_DIR/noise"; '
        say = "echo first; " + GATE.format("go") + noise + GATE.format("on") + "echo last"
        task_id = await started(stage, say)
        output = await output_of(site)
        async with Reader(stage.address) as reader, asyncio.timeout(60):
            while (await reader.read(task_id).to_the_end()).text() == b"":  # noqa: ASYNC110  the same
                await asyncio.sleep(0.02)
            (output / "go").touch()
            while room_of(disk) > 66_000:  # noqa: ASYNC110  a disk gives no event
                await asyncio.sleep(0.01)
            stored = (await reader.read(task_id).to_the_end()).text()
        (output / "on").touch()
        # A run ends as ever: only what it said waits at its site.
        assert await ended(stage, task_id) == "Succeeded"
        assert [path.name for path in site.logs.iterdir()] == [output.name]
        assert stored.startswith(b"first\n")
        assert len(stored) < 300_000
        command = ["mount", "-o", "remount,size=64m", str(disk)]
        await asyncio.to_thread(subprocess.run, command, check=True)
        async with asyncio.timeout(60):
            while list(site.logs.iterdir()):  # noqa: ASYNC110  nothing tells a test
                await asyncio.sleep(0.02)
        got = await followed(stage, task_id)
    assert got.text() == b"first\n" + (output / "noise").read_bytes() + b"last\n"
