"""A relay for the agent's own tests: joins two who prove their tickets, and shows what passes."""

import asyncio
import secrets
from contextlib import suppress

from flow_contract.tunnels import (
    HELLO,
    JOINING_BYTES,
    NONCE_BYTES,
    SECRET_BYTES,
    TUNNEL_ID_BYTES,
    Joined,
    Side,
    Ticket,
    proof,
)


class SmallRelay:
    """Serves where it is started. `tapped` is all that it has heard, by connection."""

    def __init__(self):
        self.address = ""
        self.tapped = []
        self.alone_s = 30.0
        self.refused = 0
        self._tickets = {}
        self._waiting = {}
        self._tasks = set()
        self._server = None

    async def start(self):
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=1024)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def stop(self):
        """Break everything, and listen no more."""
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def issue(self, **changes):
        ticket = Ticket(
            tunnel_id=secrets.token_bytes(TUNNEL_ID_BYTES),
            secret=secrets.token_bytes(SECRET_BYTES),
            **{"relay_address": self.address, **changes},
        )
        self._tickets[ticket.tunnel_id] = (ticket, set())
        return ticket

    def break_all(self):
        """Break what is joined; go on listening."""
        for task in list(self._tasks):
            task.cancel()

    async def _accept(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _serve(self, reader, writer):
        nonce = secrets.token_bytes(NONCE_BYTES)
        writer.write(HELLO + nonce)
        said = await reader.readexactly(JOINING_BYTES)
        heard = [said]
        self.tapped.append(heard)
        tunnel_id, side, shown = said[:TUNNEL_ID_BYTES], said[TUNNEL_ID_BYTES], said[17:]
        ticket, used = self._tickets.get(tunnel_id, (None, set()))
        if ticket is None or side in used or proof(ticket.secret, nonce, Side(side)) != shown:
            self.refused += 1
            writer.write(bytes([Joined.REFUSED]))
            await writer.drain()
            return
        used.add(side)
        other = self._waiting.pop(tunnel_id, None)
        if other is None:
            met = asyncio.get_running_loop().create_future()
            self._waiting[tunnel_id] = (reader, writer, heard, met)
            try:
                async with asyncio.timeout(self.alone_s):
                    await met
            except TimeoutError:
                writer.write(bytes([Joined.ALONE]))
                await writer.drain()
            finally:
                self._waiting.pop(tunnel_id, None)
            return
        other_reader, other_writer, other_heard, met = other
        writer.write(bytes([Joined.JOINED]))
        other_writer.write(bytes([Joined.JOINED]))
        try:
            await asyncio.gather(
                self._pass(reader, other_writer, heard),
                self._pass(other_reader, writer, other_heard),
            )
        finally:
            other_writer.transport.abort()
            if not met.done():
                met.set_result(None)

    async def _pass(self, reader, writer, heard):
        while data := await reader.read(65_536):
            heard.append(data)
            writer.write(data)
            await writer.drain()
        with suppress(OSError):
            writer.write_eof()
