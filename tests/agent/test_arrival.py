import asyncio

import pytest

from party_agent.app import Agent
from party_agent.arrival import RETRY_S, open_patiently
from party_agent.runtime.memory import MemoryRuntime
from party_agent.runtime.port import RuntimeUnavailable, RuntimeUnusable
from tests.agent.fakes import FakeClock
from tests.agent.party import Site


class Late(MemoryRuntime):
    """Answers from the nth time on that it is opened."""

    def __init__(self, failures):
        super().__init__()
        self.failures = list(failures)

    async def open(self):
        if self.failures:
            raise self.failures.pop(0)
        await super().open()


async def test_a_runtime_that_answers_soon_after_the_agent_is_waited_for():
    clock = FakeClock()
    runtime = Late([RuntimeUnavailable("down")] * 3)
    opening = asyncio.ensure_future(open_patiently(runtime, clock, patience_s=30))
    for count in (1, 2, 3):
        await clock.until_asleep(count)
        clock.advance(RETRY_S)
    await opening
    assert await runtime.list() == []
    await runtime.aclose()


async def test_no_runtime_is_waited_for_longer_than_that():
    clock = FakeClock()
    runtime = Late([RuntimeUnavailable("down")] * 9)
    opening = asyncio.ensure_future(open_patiently(runtime, clock, patience_s=2 * RETRY_S))
    for count in (1, 2):
        await clock.until_asleep(count)
        clock.advance(RETRY_S)
    with pytest.raises(RuntimeUnavailable, match="down"):
        await opening
    assert len(runtime.failures) == 6


async def test_what_only_a_person_can_change_is_not_waited_for():
    runtime = Late([RuntimeUnusable("no rights")])
    with pytest.raises(RuntimeUnusable, match="no rights"):
        await open_patiently(runtime, FakeClock(), patience_s=30)


async def test_an_agent_that_waits_for_its_runtime_can_be_told_to_leave(tmp_path, server):
    clock = FakeClock()
    runtime = Late([RuntimeUnavailable("down")] * 9)
    settings = Site(tmp_path / "state", server).settings
    agent = Agent(settings, runtime, clock=clock)
    running = asyncio.ensure_future(agent.run())
    await clock.until_asleep()
    await agent.aclose()
    await running
    assert not server.hellos
