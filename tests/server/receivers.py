"""Receivers as processes, and what they were sent."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

_PROGRAM = Path(__file__).with_name("receiver.py")


class Receiving:
    def __init__(self, folder, *modes):
        self._file = folder / f"received-{'-'.join(modes)}"
        self._file.touch()
        self._process = subprocess.Popen([sys.executable, _PROGRAM, self._file, *modes])

    def _lines(self):
        return [json.loads(line) for line in self._file.read_text().splitlines()]

    async def url(self):
        await self._until(1)
        return f"http://127.0.0.1:{self._lines()[0]['port']}/hook?a=b"

    async def received(self, number):
        """Wait for so many requests; return all."""
        await self._until(number + 1)
        return self._lines()[1:]

    def so_far(self):
        return self._lines()[1:]

    async def _until(self, lines, timeout_s=60):
        async with asyncio.timeout(timeout_s):
            # Another process writes the file.
            while self._file.read_text().count("\n") < lines:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    def end(self):
        self._process.kill()
        self._process.wait()
