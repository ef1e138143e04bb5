"""An engine that can be cut off: a unix socket in front of the real one."""

import asyncio
from contextlib import suppress
from pathlib import Path

_CHUNK_BYTES = 65_536


class EngineProxy:
    """Passes bytes to the engine's socket until `cut`, and again after `restore`."""

    def __init__(self, path: Path, engine_socket: str) -> None:
        self.path = path
        self._engine_socket = engine_socket
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._served: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"unix://{self.path}"

    async def restore(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def cut(self) -> None:
        """End all connections and refuse new ones."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        self.path.unlink(missing_ok=True)
        for writer in tuple(self._writers):
            writer.transport.abort()
        if self._served:
            await asyncio.wait(self._served)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._served.add(task)
            task.add_done_callback(self._served.discard)
        engine_reader, engine_writer = await asyncio.open_unix_connection(self._engine_socket)
        ends = {writer, engine_writer}
        self._writers |= ends
        try:
            await asyncio.gather(_pump(reader, engine_writer), _pump(engine_reader, writer))
        finally:
            self._writers -= ends
            for end in ends:
                end.close()
                with suppress(ConnectionError):
                    await end.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    with suppress(OSError):
        writer.write_eof()
