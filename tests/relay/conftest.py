"""A relay in its thread, on a free port, and who dials it."""

import asyncio
import contextlib

import pytest

from flow_contract.errors import Unavailable
from flow_server.relay.limits import RelayLimits
from flow_server.relay.relay import Relay
from tests.relay.agents import Dialler


class Running:
    """A relay that can be stopped and begun again."""

    def __init__(self, relay):
        self.relay = relay
        self.task = None

    async def start(self):
        self.task = asyncio.create_task(self.relay.run())
        while True:
            with contextlib.suppress(Unavailable):
                self.relay.check()
                return
            assert not self.task.done(), self.task.exception()
            await asyncio.sleep(0)

    async def stop(self):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.fixture
def limits():
    return RelayLimits()


@pytest.fixture
async def running(limits):
    relay = Relay(host="127.0.0.1", port=0, limits=limits)
    running = Running(relay)
    await running.start()
    yield running
    await running.stop()
    relay.close()


@pytest.fixture
def relay(running):
    return running.relay


@pytest.fixture
def dialler(relay):
    dialler = Dialler(relay)
    yield dialler
    dialler.close()


@pytest.fixture
def until(relay):
    """Wait until what the relay's thread counts is so."""

    async def until(holds):
        while not holds(relay.counts):  # noqa: ASYNC110 - a thread counts, and tells nobody
            await asyncio.sleep(0.001)

    return until
