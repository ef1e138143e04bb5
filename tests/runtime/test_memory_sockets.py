"""Neighbours of scripted workloads: pairs of sockets, which the test itself holds."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from tests.runtime.harness import RunUntilStopped
from tests.runtime.puppets import with_neighbours
from tests.runtime.socket_suite import SocketBehaviour
from tests.runtime.test_memory import MemoryHarness


class Script:
    """Plays a workload that has no program."""

    def __init__(self, loopback, party_run_id):
        self._loopback = loopback
        self._party_run_id = party_run_id
        self._mine = []

    async def connect(self, host, port):
        return self._kept(self._loopback.dial(self._party_run_id, host, port))

    async def listen(self, host, port):
        accepted = asyncio.Queue()
        self._loopback.listen(self._party_run_id, port, accepted.put_nowait)

        async def accept():
            return self._kept(await accepted.get())

        return accept

    def close(self):
        for each in self._mine:
            each.close()

    def _kept(self, stream):
        stream.setblocking(False)  # noqa: FBT003  the socket's own signature
        self._mine.append(stream)
        return stream


class NeighbourlyScripts(MemoryHarness):
    has_tcp = False

    def player_workload(self, own, *others):
        return with_neighbours(self.workload(RunUntilStopped()), own, *others)

    @asynccontextmanager
    async def playing(self, workload):
        script = Script(self.state.loopback, workload.party_run_id)

        async def called():
            return script

        yield called
        script.close()


@pytest.fixture
async def harness(tmp_path):
    harness = NeighbourlyScripts(tmp_path)
    yield harness
    await harness.aclose()


class TestMemorySockets(SocketBehaviour):
    pass
