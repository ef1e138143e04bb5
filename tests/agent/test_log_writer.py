"""The agent's log and those who stop reading it."""

import asyncio
import contextlib
import os
import signal
import subprocess
import threading

import pytest

from flow_contract.lifecycle import PartyRunState
from party_agent.log_writer import LogWriter
from tests.agent.fakes import make_assignment
from tests.agent.processes import agent_process

S = PartyRunState


@pytest.fixture
def pipe():
    """A pipe's two ends; a test that closes one of them says so by taking it out."""
    ends = dict(zip(("read", "write"), os.pipe(), strict=True))
    yield ends
    for descriptor in ends.values():
        os.close(descriptor)


def test_lines_arrive_whole_and_in_order(pipe):
    writer = LogWriter(pipe["write"])
    lines = [f"line {number}\n" for number in range(100)]
    for line in lines:
        writer.write(line)
    writer.flush()
    writer.close()
    assert os.read(pipe["read"], 100_000).decode() == "".join(lines)


def test_a_reader_that_has_gone_is_no_error(pipe):
    os.close(pipe.pop("read"))
    writer = LogWriter(pipe["write"])
    for _ in range(3):
        writer.write("nobody reads this\n")
    writer.close()
    writer.close()
    writer.write("nor this\n")


def test_a_reader_that_has_stopped_holds_nobody_up_and_learns_what_it_missed(pipe):
    writer = LogWriter(pipe["write"], max_lines=10)
    line = "x" * 99_999 + "\n"
    for _ in range(50):
        writer.write(line)
    read = []

    def read_on():
        while data := os.read(pipe["read"], 65_536):
            read.append(data)

    reader = threading.Thread(target=read_on)
    reader.start()
    writer.close()
    os.close(pipe.pop("write"))
    reader.join()
    lines = b"".join(read).decode().splitlines()
    kept = [one for one in lines if one.startswith("x")]
    assert 10 <= len(kept) < 50
    assert lines[-1] == f"{50 - len(kept)} lines of this log were dropped: nobody took them"


async def test_an_agent_whose_log_nobody_reads_any_more_serves_on(tmp_path, server):
    # As `fedflow agent 2>&1 | head -1` does.
    async with agent_process(server, tmp_path, stderr=subprocess.PIPE) as process:
        assert b"agent_started" in await process.stderr.readline()
        process.stderr._transport.close()
        server.assign(make_assignment(command=("exit", "3")))
        assert (await server.until_state(S.FAILED)).exit_code == 3
        server.cut()
        await server.until(lambda: len(server.hellos) == 2)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


async def test_an_agent_whose_log_s_reader_has_stopped_serves_on(tmp_path, server):
    read, write = os.pipe()
    os.set_blocking(write, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(write, b"x" * 4096)
    os.set_blocking(write, True)
    try:
        async with agent_process(server, tmp_path, stderr=write) as process:
            server.assign(make_assignment(command=("exit", "3")))
            assert (await server.until_state(S.FAILED)).exit_code == 3
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 60) == 0
    finally:
        os.close(read)
        os.close(write)
