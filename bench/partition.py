"""A network between sites and their server that can be cut: nothing passes, nobody is told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

_CHUNK_BYTES = 64 * 1024


class Network:
    """Passes bytes on to `host` and `port` while `whole` is set, and keeps them otherwise.

    Connections stay, and new ones are taken and not answered, as where packets are dropped.
    """

    def __init__(self, host: str, port: int) -> None:
        self.whole = asyncio.Event()
        self.whole.set()
        self._target = (host, port)
        self._writers: set[asyncio.StreamWriter] = set()

    @contextlib.contextmanager
    def cut(self) -> Iterator[None]:
        """Pass nothing while in the context."""
        self.whole.clear()
        try:
            yield
        finally:
            self.whole.set()

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Yield the HOST:PORT to dial."""
        listener = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        try:
            yield f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        finally:
            listener.close()
            self.whole.set()
            for writer in self._writers:
                writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            await self.whole.wait()
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            self._writers.add(far_writer)
            try:
                # A side that ends ends both, once it may be heard of.
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pump(reader, far_writer))
                    group.create_task(self._pump(far_reader, writer))
            finally:
                self._writers.discard(far_writer)
                far_writer.transport.abort()
        except* OSError:
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK_BYTES):
            await self.whole.wait()
            writer.write(data)
            await writer.drain()
        await self.whole.wait()
        raise ConnectionResetError
