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
        f"{len(written) - len(kept)} bytes dropped",
    ]


async def test_a_full_disk_leaves_whole_records_and_a_mark_where_bytes_are_missing(tmp_path):
    # The file's own limit of the kernel, as a disk that is full and then is not.
    code = f"""
import resource, signal
from pathlib import Path
from party_agent.runtime.log_capture import LogFile
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log = LogFile(Path({str(tmp_path / "log")!r}), most_bytes=10**9)
log.write(1, b"a" * 1000)
resource.setrlimit(resource.RLIMIT_FSIZE, (1500, -1))
log.write(1, b"b" * 1000)
log.write(1, b"c" * 1000)
resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
log.write(1, b"d" * 1000)
log.close()
"""
    child = await asyncio.create_subprocess_exec(
        os.sys.executable,
        "-c",
        code,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(os.sys.path)},
    )
    assert await child.wait() == 0
    found = [
        (record.stream, record.data[:20]) for record in records((tmp_path / "log").read_bytes())
    ]
    assert found == [
        (LogStream.STDOUT, b"a" * 20),
        (LogStream.MARK, b"1000 bytes dropped"),
        (LogStream.MARK, b"1000 bytes dropped"),
        (LogStream.STDOUT, b"d" * 20),
    ]


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
