"""A TCP proxy and balancer for tests: passes bytes on, or goes silent without a word."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Self

_CHUNK_BYTES = 65_536


class TcpProxy:
    """Listens on a free port and passes each connection to the next backend that answers.

    `silence` is a half-open connection: nothing passes any more, in either direction, and no
    end is told that the other is gone. New connections pass.
    """

    def __init__(self, *backends: str) -> None:
        self.backends: Sequence[str] = backends
        self._turn = 0
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], asyncio.Event] = {}
        self.address = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()[:2]
        self.address = f"{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        # What was just accepted begins, so that it closes what it was given.
        await asyncio.sleep(0)
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        # An aborted transport lets its socket go in the loop's next turn.
        await asyncio.sleep(0)

    def silence(self) -> None:
        """Pass nothing more over the connections that there are."""
        for passes in self._connections.values():
            passes.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        passes = asyncio.Event()
        passes.set()
        if task is not None:
            self._connections[task] = passes
            task.add_done_callback(lambda done: self._connections.pop(done, None))
        writers = {writer}
        try:
            far_reader, far_writer = await self._dial()
            writers.add(far_writer)
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, far_writer, passes))
                group.create_task(_pump(far_reader, writer, passes))
        except* (OSError, asyncio.CancelledError):
            # A connection that ends, and a test that does.
            pass
        finally:
            for each in writers:
                each.transport.abort()

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for _ in self.backends:
            backend = self.backends[self._turn % len(self.backends)]
            self._turn += 1
            host, _, port = backend.rpartition(":")
            with contextlib.suppress(OSError):
                return await asyncio.open_connection(host, int(port))
        raise ConnectionRefusedError("no backend answers")


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passes: asyncio.Event
) -> None:
    while data := await reader.read(_CHUNK_BYTES):
        await passes.wait()
        writer.write(data)
        await writer.drain()
    await passes.wait()
    # Either side's end ends both: no half of a gRPC connection is of use.
    raise ConnectionResetError
