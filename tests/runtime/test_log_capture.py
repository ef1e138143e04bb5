"""What a workload writes is in its log, byte by byte, whatever it is and whoever dies."""

import asyncio
import dataclasses
import os
import struct

import pytest

from flow_contract import log_records
from flow_contract.log_records import LogStream, records
from party_agent.runtime import log_capture
from party_agent.runtime.process import ProcessRuntime
from tests.runtime.harness import DEADLINE_S, until
from tests.runtime.suite import exited, started
from tests.runtime.test_process import ProcessHarness, shell

PLENTY = 2**30


@pytest.fixture
async def harness(tmp_path):
    harness = ProcessHarness(tmp_path)
    yield harness
    await harness.aclose()


@pytest.fixture
async def runtime(harness):
    runtime = harness.new_runtime()
    await runtime.open()
    yield runtime
    await runtime.aclose()


def logged(harness, text, *, most_bytes=PLENTY):
    workload = shell(harness, text)
    return dataclasses.replace(
        workload, log=harness.folder / f"{workload.party_run_id}.log", log_max_bytes=most_bytes
    )


async def read_of(runtime, workload):
    await started(runtime, workload)
    await exited(runtime, workload.party_run_id)
    return list(records(workload.log.read_bytes()))


def bytes_of(found, stream):
    return b"".join(record.data for record in found if record.stream is stream)


def test_the_frame_is_the_contracts_own():
    assert log_capture.HEADER.format == log_records._HEADER.format
    assert struct.calcsize(log_capture.HEADER.format) == log_records.HEADER_BYTES
    assert log_capture.MAX_DATA_BYTES == log_records.MAX_DATA_BYTES
    assert [*LogStream] == [log_capture.STDOUT, log_capture.STDERR, log_capture.MARK]


async def test_both_streams_are_kept_apart_with_their_times(harness, runtime):
    found = await read_of(runtime, logged(harness, "echo out; echo err >&2; echo out again"))
    assert bytes_of(found, LogStream.STDOUT) == b"out\nout again\n"
    assert bytes_of(found, LogStream.STDERR) == b"err\n"
    times = [record.at_us for record in found]
    assert times == sorted(times)


async def test_a_line_of_ten_megabytes_and_bytes_of_no_encoding_arrive_as_they_are(
    harness, runtime
):
    text = "head -c 10000000 /dev/zero; printf '\\377\\376\\000\\n'; head -c 100000 /dev/urandom"
    found = await read_of(runtime, logged(harness, text + ' | tee "$FEDFLOW_OUTPUT_DIR/noise"'))
    written = bytes_of(found, LogStream.STDOUT)
    assert written[:10_000_004] == bytes(10_000_000) + b"\xff\xfe\x00\n"
    (noise,) = harness.folder.rglob("noise")
    assert written[10_000_004:] == noise.read_bytes()


async def test_a_million_lines_are_all_there(harness, runtime):
    found = await read_of(runtime, logged(harness, "seq 1000000"))
    expected = b"".join(b"%d\n" % number for number in range(1, 1_000_001))
    assert bytes_of(found, LogStream.STDOUT) == expected


async def test_a_log_beyond_its_limit_says_how_much_was_dropped(harness, runtime):
    workload = logged(harness, "seq 100000", most_bytes=100_000)
    found = await read_of(runtime, workload)
    kept = bytes_of(found, LogStream.STDOUT)
    written = b"".join(b"%d\n" % number for number in range(1, 100_001))
    assert written.startswith(kept)
    marks = [record.data.decode() for record in found if record.stream is LogStream.MARK]
    assert marks == [
        "the log has reached its limit of 100000 bytes",
        f"{len(written) - len(kept)} bytes dropped from stdout",
    ]


async def run_code(tmp_path, code):
    """Run code with a LogFile; `limit` bounds files in the kernel, as a full disk does."""
    head = f"""
import resource, signal
from pathlib import Path
from party_agent.runtime.log_capture import LogFile
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, -1))
log = LogFile(Path({str(tmp_path / "log")!r}), most_bytes=10**9)
"""
    child = await asyncio.create_subprocess_exec(
        os.sys.executable,
        "-c",
        head + code,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(os.sys.path)},
    )
    assert await child.wait() == 0
    return [
        (record.stream, record.data[:40]) for record in records((tmp_path / "log").read_bytes())
    ]


async def test_a_full_disk_leaves_whole_records_and_a_mark_where_bytes_are_missing(tmp_path):
    found = await run_code(
        tmp_path,
        """
log.write(1, b"a" * 1000)
limit(1500)
log.write(1, b"b" * 1000)
log.write(2, b"c" * 900)
limit(-1)
log.write(1, b"d" * 1000)
log.close()
""",
    )
    assert found == [
        (LogStream.STDOUT, b"a" * 40),
        (LogStream.MARK, b"1000 bytes dropped from stdout"),
        (LogStream.MARK, b"900 bytes dropped from stderr"),
        (LogStream.STDOUT, b"d" * 40),
    ]


async def test_what_was_once_whole_in_the_file_stays_there_for_it_may_have_been_sent(tmp_path):
    found = await run_code(
        tmp_path,
        """
limit(50_000)
log.write(1, b"a" * 60_000)
limit(-1)
log.close()
""",
    )
    assert found == [
        (LogStream.STDOUT, b"a" * 40),
        (LogStream.MARK, b"28000 bytes dropped from stdout"),
    ]


def test_a_file_that_can_not_be_opened_yet_is_opened_when_it_can_and_says_what_is_missing(
    tmp_path,
):
    path = tmp_path / "missing" / "log"
    log = log_capture.LogFile(path, most_bytes=PLENTY)
    log.write(1, b"early")
    path.parent.mkdir()
    log.write(2, b"late")
    log.close()
    found = [(record.stream, record.data) for record in records(path.read_bytes())]
    assert found == [(LogStream.MARK, b"5 bytes dropped from stdout"), (LogStream.STDERR, b"late")]


def test_times_do_not_go_back_in_a_log_that_is_gone_on_with(tmp_path):
    later_us = 4_000_000_000_000_000
    log = log_capture.LogFile(tmp_path / "log", most_bytes=PLENTY, last_us=later_us)
    log.write(1, b"a")
    log.close()
    assert [record.at_us for record in records((tmp_path / "log").read_bytes())] == [later_us]


def test_the_logs_of_a_site_are_bounded_together_while_they_grow(tmp_path, monkeypatch):
    monkeypatch.setattr(log_capture, "_LOOK_EVERY_S", 0)
    paths = [tmp_path / name / "log" for name in ("one", "two", "three")]
    logs = []
    for path in paths:
        path.parent.mkdir()
        logs.append(log_capture.LogFile(path, most_bytes=PLENTY, site_bytes=8 * 1024**2))
    for _ in range(400):
        for log in logs:
            log.write(1, b"x" * 30_000)
    sizes = [path.stat().st_size for path in paths]
    # Each may be a grant of 1 MiB beyond.
    assert 7 * 1024**2 < sum(sizes) < 11 * 1024**2
    # The server has one of them: there is room again, and what is missing is said.
    paths[0].unlink()
    logs[1].write(1, b"on")
    logs[1].close()
    *_, dropped, last = records(paths[1].read_bytes())
    assert last.data == b"on"
    assert dropped.stream is LogStream.MARK
    assert dropped.data.endswith(b" bytes dropped from stdout")
    said = [record.data for record in records(paths[1].read_bytes()) if record.stream == 3]
    assert said[0] == b"the site's logs have reached their limit of 8388608 bytes"
    assert len(said) == 2
    kept = len(bytes_of(records(paths[1].read_bytes()), LogStream.STDOUT)) - 2
    assert int(dropped.data.split()[0]) == 400 * 30_000 - kept


async def test_what_is_written_while_no_agent_is_there_is_in_the_log(harness):
    workload = logged(
        harness,
        'echo before; while [ ! -e "$FEDFLOW_OUTPUT_DIR/go" ]; do sleep 0.05; done; echo after',
    )
    first = ProcessRuntime(harness.state_dir, environ=os.environ)
    await first.open()
    await started(first, workload)
    await first.aclose()
    harness.release(workload.party_run_id)
    await until(lambda: harness.ended(workload.party_run_id))
    found = list(records(workload.log.read_bytes()))
    assert bytes_of(found, LogStream.STDOUT) == b"before\nafter\n"


async def test_what_a_killed_workload_left_in_its_pipe_is_kept(harness, runtime):
    workload = logged(harness, "echo last words; kill -9 $$")
    async with asyncio.timeout(DEADLINE_S):
        found = await read_of(runtime, workload)
    assert bytes_of(found, LogStream.STDOUT) == b"last words\n"
