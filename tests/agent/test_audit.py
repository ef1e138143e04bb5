"""The site's own audit log: on the disk when told so, in one chain over every restart."""

import asyncio
import errno
import json
import os
import subprocess
import sys

import pytest

from flow_contract.audit import Outcome, verify
from party_agent.audit import FILE_NAME, AuditLog, AuditUnreadable, read


def path_in(tmp_path):
    return tmp_path / FILE_NAME


def entries_in(tmp_path):
    return list(read(path_in(tmp_path)))


async def record(tmp_path, *subjects):
    log = AuditLog(tmp_path)
    for subject in subjects:
        await log.record("run_accepted", subject_kind="party_run", subject_id=subject)
    log.close()


async def test_what_was_recorded_is_in_the_file_and_holds(tmp_path):
    log = AuditLog(tmp_path)
    await log.record(
        "run_refused",
        outcome=Outcome.DENIED,
        subject_kind="party_run",
        subject_id="p",
        rule="images",
    )
    (entry,) = entries_in(tmp_path)
    assert entry.act.detail == {"rule": "images"}
    assert entry.act.outcome is Outcome.DENIED
    assert verify([entry]) is None


async def test_the_chain_goes_on_over_a_restart(tmp_path):
    await record(tmp_path, "a", "b")
    await record(tmp_path, "c")
    entries = entries_in(tmp_path)
    assert [entry.act.subject_id for entry in entries] == ["a", "b", "c"]
    assert verify(entries) is None


async def test_entries_recorded_at_once_make_one_chain(tmp_path):
    log = AuditLog(tmp_path)
    await asyncio.gather(*(log.record("x", subject_id=str(number)) for number in range(50)))
    assert verify(entries_in(tmp_path)) is None
    assert len(entries_in(tmp_path)) == 50


async def test_what_a_crash_left_half_written_is_taken_off(tmp_path):
    await record(tmp_path, "a")
    with path_in(tmp_path).open("a") as file:
        file.write('{"sequence": 2, "at"')
    assert len(entries_in(tmp_path)) == 1
    await record(tmp_path, "b")
    assert verify(entries_in(tmp_path)) is None
    assert len(entries_in(tmp_path)) == 2


@pytest.mark.parametrize("line", [0, 1, 2])
async def test_a_changed_line_is_found(tmp_path, line):
    await record(tmp_path, "a", "b", "c", "d")
    lines = path_in(tmp_path).read_text().splitlines(keepends=True)
    lines[line] = lines[line].replace("run_accepted", "run_refused")
    path_in(tmp_path).write_text("".join(lines))
    assert verify(entries_in(tmp_path)).sequence == line + 1


async def test_a_line_taken_out_is_found(tmp_path):
    await record(tmp_path, "a", "b", "c")
    lines = path_in(tmp_path).read_text().splitlines(keepends=True)
    path_in(tmp_path).write_text(lines[0] + lines[2])
    assert verify(entries_in(tmp_path)).sequence == 2


async def test_a_file_that_is_no_log_is_refused_by_its_line(tmp_path):
    path_in(tmp_path).write_text("hello\n")
    with pytest.raises(AuditUnreadable, match=r"audit\.jsonl:1"):
        await record(tmp_path, "a")


async def test_nobody_else_on_the_machine_may_read_it(tmp_path):
    await record(tmp_path, "a")
    assert path_in(tmp_path).stat().st_mode & 0o777 == 0o600


async def test_without_a_directory_nothing_is_kept(tmp_path):
    log = AuditLog(None)
    await log.record("x")
    assert list(tmp_path.iterdir()) == []


_ON_A_FULL_DISK = """
import asyncio, resource, signal, sys
from pathlib import Path
from party_agent.audit import AuditLog
log = AuditLog(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
async def main():
    await log.record("first")
    size = (Path(sys.argv[1]) / "audit.jsonl").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, resource.RLIM_INFINITY))
    try:
        await log.record("second")
    except OSError as error:
        print(error.errno)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await log.record("third")
asyncio.run(main())
"""


def test_a_full_disk_is_told_and_leaves_no_half_line(tmp_path):
    child = subprocess.run(
        [sys.executable, "-c", _ON_A_FULL_DISK, str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
    )
    assert child.stdout.split() == [str(errno.EFBIG)]
    assert [entry.act.action for entry in entries_in(tmp_path)] == ["first", "third"]
    assert verify(entries_in(tmp_path)) is None


def test_each_line_is_json_that_other_tools_read(tmp_path):
    asyncio.run(record(tmp_path, "a"))
    assert json.loads(path_in(tmp_path).read_text())["subject_id"] == "a"
