"""Two agents' ends of tunnels, for tests: each with its thread, its identity, and its workload.

The workloads are plain TCP sockets on loopback, in the hands of the test.
"""

import asyncio
import contextlib
import socket
from datetime import UTC, datetime

from party_agent.identity import files
from party_agent.tunnel.counts import Count
from party_agent.tunnel.credentials import CredentialsOnDisk
from party_agent.tunnel.ends import Ends, Line
from party_agent.tunnel.meeting import Meeting
from party_agent.tunnel.rates import Valve
from party_agent.tunnel.thread import PumpThread
from tests.agent.fakes import DEADLINE_S

FREE = (Valve(), Valve())


def now():
    return datetime.now(UTC)


def tcp_pair():
    """Return the workload's end, which blocks, and the agent's, which does not."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        own = socket.create_connection(listening.getsockname())
        agents, _ = listening.accept()
    for each in (own, agents):
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    agents.settimeout(0)
    own.settimeout(0)
    return own, agents


class End:
    """One agent's end: `Ends` in a thread of its own."""

    def __init__(self, state_dir=None, *, idle_s=3600.0, connect_s=DEADLINE_S, may_dial=None):
        self.thread = PumpThread()
        self.count = Count()
        self.ends = Ends(
            meeting=Meeting(server_host="127.0.0.1", may_dial=may_dial or (lambda _: True)),
            source=None if state_dir is None else CredentialsOnDisk(state_dir),
            now=now,
            idle_s=idle_s,
            connect_s=connect_s,
        )

    def line(self, ticket, federated_id, *, valves=FREE, party_run_id="run1"):
        return Line(
            party_run_id=party_run_id,
            ticket=ticket,
            federated_id=federated_id,
            count=self.count,
            valves=valves,
        )

    async def dial(self, line, plain):
        return await self.thread.carry(lambda: self.ends.dial(line, plain))

    async def answer(self, line, plain):
        return await self.thread.carry(lambda: self.ends.answer(line, plain))

    async def aclose(self):
        await self.thread.aclose()


class Both:
    """Party a dials, party b answers, through `relay`."""

    def __init__(self, tmp_path, relay, *, ca=None, **options):
        self.relay = relay
        places = {}
        for party in ("a", "b"):
            places[party] = None
            if ca is not None:
                places[party] = tmp_path / party
                files.write(places[party], ca.identity(party))
        self.places = places
        self.a, self.b = End(places["a"], **options), End(places["b"], **options)
        self._tasks = set()

    @contextlib.asynccontextmanager
    async def connection(self, *, ticket=None, valves=FREE):
        """Yield both workloads' sockets, and the two tasks that carry between them."""
        ticket = ticket or self.relay.issue()
        own_a, agents_a = tcp_pair()
        own_b, agents_b = tcp_pair()
        dialling = self.own(self.a.dial(self.a.line(ticket, "b", valves=valves), agents_a))
        answering = self.own(self.b.answer(self.b.line(ticket, "a"), agents_b))
        with own_a, own_b:
            try:
                yield own_a, own_b, dialling, answering
            except BaseException as error:
                # What became of them says more than what a workload saw.
                for task in (dialling, answering):
                    error.add_note(repr(task))
                raise

    def own(self, coroutine):
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        return task

    async def aclose(self):
        await self.a.aclose()
        await self.b.aclose()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def said(stream, data):
    """Send it all."""
    async with asyncio.timeout(DEADLINE_S):
        await asyncio.get_running_loop().sock_sendall(stream, data)


async def heard(stream, size_bytes):
    """Return so many bytes, or fewer if it ends before."""
    loop, data = asyncio.get_running_loop(), bytearray(size_bytes)
    view, got = memoryview(data), 0
    async with asyncio.timeout(DEADLINE_S):
        while got < size_bytes and (more := await loop.sock_recv_into(stream, view[got:])):
            got += more
    return bytes(view[:got])


async def ended(task):
    """Return how the connection ended."""
    async with asyncio.timeout(DEADLINE_S):
        return await task


async def is_reset(stream):
    """Wait for the end of it; say whether it was a reset."""
    try:
        while await heard(stream, 65_536):
            pass
    except ConnectionResetError:
        return True
    return False
