"""What every runtime must do with what workloads write; subclasses give a `harness` fixture."""

import dataclasses

from flow_contract.log_records import LogStream, records
from tests.runtime.harness import Exit, until
from tests.runtime.suite import exited, started

WAIT = 'while [ ! -e "$FEDFLOW_OUTPUT_DIR/go" ]; do sleep 0.05; done; '
COUNT = "i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo $i; echo $i >&2; sleep 0.01; done"


def logged(harness, text):
    workload = harness.workload(Exit(code=0))
    return dataclasses.replace(
        workload,
        command=("sh", "-c", text),
        log=harness.folder / f"{workload.party_run_id}.log",
        log_max_bytes=2**30,
    )


def written(workload, stream):
    found = records(workload.log.read_bytes())
    return b"".join(record.data for record in found if record.stream is stream)


class LogBehaviour:
    async def test_all_that_was_written_is_in_the_log_when_the_workload_is_removed(self, harness):
        runtime = harness.new_runtime()
        await runtime.open()
        workload = logged(harness, "seq 50000; echo oh >&2; head -c 1000000 /dev/zero; echo end")
        await started(runtime, workload)
        await exited(runtime, workload.party_run_id)
        await runtime.remove(workload.party_run_id)
        await runtime.aclose()
        lines = b"".join(b"%d\n" % number for number in range(1, 50_001))
        assert written(workload, LogStream.STDOUT) == lines + bytes(1_000_000) + b"end\n"
        assert written(workload, LogStream.STDERR) == b"oh\n"

    async def test_what_was_written_while_no_agent_was_there_is_in_the_log_once(self, harness):
        workload = logged(harness, f"echo before; {WAIT}echo after")
        first = harness.new_runtime()
        await first.open()
        await started(first, workload)
        await until(lambda: written(workload, LogStream.STDOUT) == b"before\n")
        await first.aclose()
        harness.release(workload.party_run_id)
        await until(lambda: harness.ended(workload.party_run_id))
        second = harness.new_runtime()
        await second.open()
        await second.remove(workload.party_run_id)
        await second.aclose()
        assert written(workload, LogStream.STDOUT) == b"before\nafter\n"

    async def test_long_lines_and_any_bytes_that_nobody_heard_are_in_the_log_as_they_were(
        self, harness
    ):
        zeros = "head -c {0} /dev/zero; echo; "
        workload = logged(
            harness,
            f"echo before; {WAIT}{zeros.format(40_000)}echo b; printf '\\377\\r\\n\\n'; "
            f"{zeros.format(32_768)}echo c; {zeros.format(16_384)}{zeros.format(16_383)}"
            f"({zeros.format(16_385)}echo d) >&2; printf unfinished",
        )
        first = harness.new_runtime()
        await first.open()
        await started(first, workload)
        await until(lambda: written(workload, LogStream.STDOUT) == b"before\n")
        await first.aclose()
        harness.release(workload.party_run_id)
        await until(lambda: harness.ended(workload.party_run_id))
        second = harness.new_runtime()
        await second.open()
        await second.remove(workload.party_run_id)
        await second.aclose()
        parts = [b"before\n", bytes(40_000), b"\nb\n\xff\r\n\n", bytes(32_768), b"\nc\n"]
        parts += [bytes(16_384), b"\n", bytes(16_383), b"\nunfinished"]
        assert written(workload, LogStream.STDOUT) == b"".join(parts)
        assert written(workload, LogStream.STDERR) == bytes(16_385) + b"\nd\n"

    async def test_restarts_in_the_middle_of_writing_leave_neither_hole_nor_repeat(self, harness):
        workload = logged(harness, COUNT)
        runtime = harness.new_runtime()
        await runtime.open()
        await started(runtime, workload)
        for _ in range(3):
            await runtime.aclose()
            runtime = harness.new_runtime()
            await runtime.open()
        await exited(runtime, workload.party_run_id)
        await runtime.remove(workload.party_run_id)
        await runtime.aclose()
        lines = b"".join(b"%d\n" % number for number in range(1, 201))
        for stream in (LogStream.STDOUT, LogStream.STDERR):
            assert written(workload, stream) == lines

    async def test_a_limit_is_said_once_and_what_is_beyond_it_counted_once_also_over_restarts(
        self, harness
    ):
        workload = dataclasses.replace(logged(harness, COUNT), log_max_bytes=1000)
        runtime = harness.new_runtime()
        await runtime.open()
        await started(runtime, workload)
        for _ in range(3):
            await until(lambda: b"limit" in workload.log.read_bytes())
            await runtime.aclose()
            runtime = harness.new_runtime()
            await runtime.open()
        await exited(runtime, workload.party_run_id)
        await runtime.remove(workload.party_run_id)
        await runtime.aclose()
        found = list(records(workload.log.read_bytes()))
        marks = [record.data.decode() for record in found if record.stream is LogStream.MARK]
        assert [mark for mark in marks if "dropped" not in mark] == [
            "the log has reached its limit of 1000 bytes"
        ]
        lines = b"".join(b"%d\n" % number for number in range(1, 201))
        for stream in (LogStream.STDOUT, LogStream.STDERR):
            kept = written(workload, stream)
            assert lines.startswith(kept)
            said = [mark.split() for mark in marks if mark.endswith(stream.name.lower())]
            assert sum(int(words[0]) for words in said) == len(lines) - len(kept)
