"""One child process: started apart from the terminal's signals, read to its end, ended for sure."""

import asyncio
import os
import signal

from flow_server_sdk.cli.federation.lines import Console, LineSplitter

# What a child started may hold its output open after it has ended; nobody waits for that.
_DRAIN_S = 2.0
_CHUNK_BYTES = 64 * 1024


class Child:
    """A running child. Invariant: `ended` is done once it has ended and its output is printed."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, console: Console) -> None:
        self.name = name
        self._process = process
        self._console = console
        self.ended: asyncio.Task[int] = asyncio.create_task(self._watch(), name=name)

    @classmethod
    async def start(
        cls, name: str, command: list[str], console: Console, *, given: bytes = b""
    ) -> "Child":
        """Start a child in a session of its own: Ctrl-C reaches us, and we choose the order.

        It reads `given`, which must be small, and then the end of its input.
        """
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE if given else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        if process.stdin is not None:
            process.stdin.write(given)
            process.stdin.close()
        return cls(name, process, console)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def ask(self) -> None:
        """Send SIGTERM; nothing happens to a child that has ended."""
        if self._process.returncode is None:
            self._process.terminate()

    def kill(self) -> None:
        """Send SIGKILL to the child and what it left in its process group."""
        if self._process.returncode is None:
            os.killpg(self._process.pid, signal.SIGKILL)

    async def _watch(self) -> int:
        reading = asyncio.create_task(self._read(), name=f"{self.name} output")
        try:
            code = await self._process.wait()
            await asyncio.wait({reading}, timeout=_DRAIN_S)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        return code

    async def _read(self) -> None:
        stream = self._process.stdout
        if stream is None:
            return
        splitter = LineSplitter()
        while data := await stream.read(_CHUNK_BYTES):
            for line in splitter.feed(data):
                self._console.line(self.name, line)
        for line in splitter.end():
            self._console.line(self.name, line)
