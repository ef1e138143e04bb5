"""Dropped packets: nothing passes, nobody is told, and no rule outlives who wanted it."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.packets import Dropped, why_not

ROOT = Path(__file__).resolve().parents[2]
_HANG = """
import asyncio, sys
from tests.chaos.packets import Dropped
async def main():
    await Dropped(int(sys.argv[1])).start()
    print("dropping", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def _can_drop():
    if why := why_not():
        pytest.skip(f"no packets can be dropped here: {why}")


def rules(port):
    asked = ["iptables", "-w", "-S", "INPUT"]
    listed = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if str(port) in line.split()]


@pytest.fixture
async def port():
    async def greet(_, writer):
        writer.write(b"x")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def greeted(port, within_s):
    async with asyncio.timeout(within_s):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            return await reader.read(1)
        finally:
            writer.close()


async def test_nothing_passes_while_packets_are_dropped_and_everything_after(port):
    assert await greeted(port, 30) == b"x"
    dropped = Dropped(port)
    await dropped.start()
    try:
        with pytest.raises(TimeoutError):
            await greeted(port, 0.3)
    finally:
        await dropped.end()
    assert rules(port) == []
    assert await greeted(port, 30) == b"x"


async def test_the_rules_go_with_the_process_that_wanted_them(port):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _HANG, str(port),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": f"{ROOT / 'sdk'}:{ROOT}"},
    )  # fmt: skip
    try:
        assert await process.stdout.readline() == b"dropping\n"
        assert len(rules(port)) == 2
    finally:
        process.kill()
        await process.wait()
    async with asyncio.timeout(60):
        while rules(port):  # noqa: ASYNC110  the kernel's tables tell nobody
            await asyncio.sleep(0.05)
