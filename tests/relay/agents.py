"""The two ends of a tunnel as agents dial them, on blocking-free real sockets."""

import asyncio
import socket

from flow_contract.tunnels import HELLO, NONCE_BYTES, Joined, Side, joining

CLOSED = "closed"
RESET = "reset"


class Dialled:
    """One connection to a relay."""

    def __init__(self, sock):
        self.sock = sock
        self.nonce = b""

    @property
    def _loop(self):
        return asyncio.get_running_loop()

    async def greeted(self):
        hello = await self.read(len(HELLO) + NONCE_BYTES)
        assert hello.startswith(HELLO)
        self.nonce = hello[len(HELLO) :]
        return self

    async def say(self, data):
        await self._loop.sock_sendall(self.sock, data)

    async def read(self, size):
        """Return exactly so many bytes."""
        data = b""
        while len(data) < size:
            part = await self._loop.sock_recv(self.sock, size - len(data))
            assert part, f"ended after {len(data)} of {size} bytes"
            data += part
        return data

    async def read_to_end(self):
        data = b""
        while part := await self._loop.sock_recv(self.sock, 65536):
            data += part
        return data

    async def answer(self):
        """Return what the relay decided, or how it ended without a word."""
        try:
            byte = await self._loop.sock_recv(self.sock, 1)
        except ConnectionResetError:
            return RESET
        return Joined(byte[0]) if byte else CLOSED

    async def end(self):
        """Wait for the end; return which."""
        try:
            while await self._loop.sock_recv(self.sock, 65536):
                pass
        except ConnectionResetError:
            return RESET
        return CLOSED

    async def prove(self, ticket, side):
        await self.say(joining(ticket, self.nonce, side))
        return self

    def finish(self):
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        self.sock.close()


class Dialler:
    """Dials one relay, and closes all at the end."""

    def __init__(self, relay):
        self.relay = relay
        self._dialled = []

    async def dial(self):
        sock = socket.socket()
        sock.settimeout(0)
        dialled = Dialled(sock)
        self._dialled.append(dialled)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.relay.port))
        return dialled

    async def proven(self, ticket, side):
        return await (await (await self.dial()).greeted()).prove(ticket, side)

    async def joined(self, party_run="from-1"):
        """Return both ends of a new tunnel."""
        ticket = self.relay.issue(party_run)
        ends = [await self.proven(ticket, side) for side in Side]
        for end in ends:
            assert await end.answer() is Joined.JOINED
        return ends

    def close(self):
        for dialled in self._dialled:
            dialled.close()


async def kill_thread(relay):
    """Let the relay's thread end as if by a defect; return the thread's object."""
    while relay._thread is None or relay._thread._serving is None:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    thread = relay._thread
    loop, serving = thread._serving
    loop.call_soon_threadsafe(serving.cancel)
    return thread
