"""A TCP proxy and balancer for tests: passes bytes on, or goes silent without a word."""

import asyncio
import contextlib
import socket
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
        # Not asyncio's server: closed while it accepts, it drops what it has accepted.
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0)
        self._connections: dict[asyncio.Task[None], asyncio.Event] = {}
        host, port = self._listener.getsockname()[:2]
        self.address = f"{host}:{port}"

    async def __aenter__(self) -> Self:
        asyncio.get_running_loop().add_reader(self._listener, self._accept)
        return self

    async def __aexit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()
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

    def _accept(self) -> None:
        try:
            accepted, _ = self._listener.accept()
        except OSError:
            # Who dialled is gone again.
            return
        passes = asyncio.Event()
        passes.set()
        task = asyncio.create_task(self._pass_on(accepted, passes))
        self._connections[task] = passes
        task.add_done_callback(lambda done: self._connections.pop(done, None))

    async def _pass_on(self, accepted: socket.socket, passes: asyncio.Event) -> None:
        writers = set()
        try:
            reader, writer = await asyncio.open_connection(sock=accepted)
            writers.add(writer)
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
            if not writers:
                accepted.close()

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
