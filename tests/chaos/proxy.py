"""A TCP proxy that spoils what passes: late, byte by byte, reset, or silent on both sides."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from enum import StrEnum

_CHUNK_BYTES = 64 * 1024
_RESET = struct.pack("ii", 1, 0)

Address = tuple[str, int]


class Weather(StrEnum):
    CLEAR = "clear"
    LATE = "late"
    TRICKLE = "trickle"
    # Bytes stay where they are, new connections are taken and not answered: half-open.
    SILENT = "silent"
    # Connections are reset, and so is every new one.
    RESET = "reset"


class Proxy:
    """Listens on a port of its own; `backend` names where each new connection goes."""

    def __init__(self, backend: Callable[[], Awaitable[Address | None]]) -> None:
        self._backend = backend
        self._weather = Weather.CLEAR
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._late_s = 0.0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def aclose(self) -> None:
        if self._server is not None:
            self._server.close()
        self._flowing.set()
        self.reset()

    def set(self, weather: Weather, *, late_s: float = 0.05) -> None:
        self._weather, self._late_s = weather, late_s
        if weather is Weather.SILENT:
            self._flowing.clear()
        else:
            self._flowing.set()
        if weather is Weather.RESET:
            self.reset()

    def reset(self) -> None:
        """End every connection with RST at both ends, as a NAT that forgot them."""
        for writer in list(self._writers):
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await self._connect(reader, writer)
        _reset(writer)
        self._writers.discard(writer)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._flowing.wait()
        address = None if self._weather is Weather.RESET else await self._backend()
        if address is None:
            return
        far_reader, far_writer = await asyncio.open_connection(*address)
        for each in (writer, far_writer):
            sock = each.get_extra_info("socket")
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._writers.add(far_writer)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, far_writer))
                group.create_task(self._pump(far_reader, writer))
        except* OSError:
            pass
        finally:
            _reset(far_writer)
            self._writers.discard(far_writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK_BYTES):
            await self._flowing.wait()
            if self._weather is Weather.LATE:
                await asyncio.sleep(self._late_s)
            if self._weather is Weather.TRICKLE:
                for place in range(len(data)):
                    writer.write(data[place : place + 1])
                    await writer.drain()
                    await asyncio.sleep(0)
            else:
                writer.write(data)
                await writer.drain()
        # An end is a byte too: behind a silent proxy nobody learns of it.
        await self._flowing.wait()
        if not writer.is_closing():
            writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    if not writer.transport.is_closing():
        with contextlib.suppress(OSError):
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        writer.transport.abort()
