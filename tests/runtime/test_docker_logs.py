"""What an engine can do to a log: throw its beginning away, lose its listener."""

import asyncio
import time

import pytest

from flow_contract.log_records import LogStream, records
from tests.runtime.harness import until
from tests.runtime.log_suite import WAIT, logged, written
from tests.runtime.suite import exited, started
from tests.runtime.test_docker import DockerHarness

pytestmark = pytest.mark.docker


@pytest.fixture
async def harness(tmp_path, engine):
    harness = DockerHarness(tmp_path, engine)
    yield harness
    await harness.aclose()


def marks(workload):
    found = records(workload.log.read_bytes())
    return [record.data.decode() for record in found if record.stream is LogStream.MARK]


async def ended_and_read(harness, workload):
    harness.release(workload.party_run_id)
    await until(lambda: harness.ended(workload.party_run_id))
    runtime = harness.new_runtime()
    await runtime.open()
    await runtime.remove(workload.party_run_id)
    await runtime.aclose()


async def test_what_the_engine_threw_away_while_no_agent_was_there_is_marked_and_not_skipped(
    harness,
):
    workload = logged(
        harness,
        f"echo first; echo oh >&2; {WAIT}yes {'x' * 8000} | head -c 130000000; echo; echo last",
    )
    runtime = harness.new_runtime()
    await runtime.open()
    await started(runtime, workload)
    await until(lambda: written(workload, LogStream.STDERR) == b"oh\n")
    await runtime.aclose()
    heard_s = time.time()
    await until(lambda: time.time() > heard_s + 1)
    await ended_and_read(harness, workload)
    assert [mark for mark in marks(workload) if "bytes may be missing here" in mark]
    found = list(records(workload.log.read_bytes()))
    (place,) = [n for n, record in enumerate(found) if record.stream is LogStream.MARK]
    assert b"".join(record.data for record in found[:place]) in (b"first\noh\n", b"oh\nfirst\n")
    rest = b"".join(record.data for record in found[place + 1 :])
    assert rest.endswith(b"\nlast\n")
    assert 80_000_000 < len(rest) < 130_000_000
    assert written(workload, LogStream.STDERR) == b"oh\n"


async def test_a_damaged_log_keeps_no_agent_from_starting_and_no_workload_from_running(harness):
    workload = logged(harness, f"echo before; {WAIT}echo after")
    runtime = harness.new_runtime()
    await runtime.open()
    await started(runtime, workload)
    await until(lambda: written(workload, LogStream.STDOUT) == b"before\n")
    await runtime.aclose()
    whole = workload.log.read_bytes()
    # As a power cut leaves it.
    workload.log.write_bytes(whole + bytes(4096))
    runtime = harness.new_runtime()
    await runtime.open()
    harness.release(workload.party_run_id)
    seen = await exited(runtime, workload.party_run_id)
    assert seen.exit_code == 0
    await runtime.remove(workload.party_run_id)
    await runtime.aclose()
    assert workload.log.read_bytes().startswith(whole)


async def test_a_stream_that_broke_off_is_heard_again_when_the_engine_is_back(harness):
    workload = logged(harness, f"echo before; {WAIT}echo after")
    runtime = harness.new_runtime()
    await runtime.open()
    await started(runtime, workload)
    await until(lambda: written(workload, LogStream.STDOUT) == b"before\n")
    captures = runtime._containers._captures
    (capture,) = captures._running.values()
    # What an engine's end does to those who listen to it.
    capture.close()
    await asyncio.to_thread(capture.join, 30)
    await runtime._reconcile()
    harness.release(workload.party_run_id)
    await exited(runtime, workload.party_run_id)
    await runtime.remove(workload.party_run_id)
    await runtime.aclose()
    assert written(workload, LogStream.STDOUT) == b"before\nafter\n"
