"""When an agent leaves a dead connection, and how soon it comes back after any."""

import asyncio

import pytest
from structlog.testing import capture_logs

from flow_wire import agents_pb2 as pb
from party_agent.app import Agent
from party_agent.runtime.memory import MemoryRuntime
from party_agent.settings import AgentSettings
from tests.agent.fakes import FakeClock, make_assignment, until
from tests.tcp import TcpProxy

SPREAD_MS = 3_600_000


def welcome(**fields):
    return pb.ServerMessage(welcome=pb.Welcome(epoch=1, heartbeat_s=60, **fields))


@pytest.fixture
async def join():
    """Start an agent with these settings; all are ended."""
    running = []

    async def join(address, *, clock=None, **settings):
        settings = {"first_backoff_s": 1, "max_backoff_s": 3600, **settings}
        agent = Agent(
            AgentSettings(
                insecure=True, server=address, party="hospital-a", runtime="memory", **settings
            ),
            MemoryRuntime(),
            clock=clock,
            random=lambda: 0.5,
        )
        running.append((agent, asyncio.create_task(agent.run())))
        await agent.connected.wait()
        return agent

    yield join
    for agent, task in running:
        await agent.aclose()
        await task


async def test_a_connection_that_went_silent_is_left_within_two_keepalives(server, join):
    # A server that hears of nobody else's end need not be spared: however long it spreads others.
    server.first = welcome(reconnect_spread_ms=SPREAD_MS)
    async with TcpProxy(server.address) as proxy:
        with capture_logs() as logs:
            await join(proxy.address, keepalive_s=0.3)
            proxy.silence()
            # Of a keepalive of half a minute nothing would be seen by now.
            async with asyncio.timeout(15):
                await server.until(lambda: len(server.hellos) == 2)
    (lost,) = [entry for entry in logs if entry["event"] == "connection_lost"]
    assert lost["retry_in_s"] == 0.5


async def test_a_connection_that_the_server_ended_is_made_again_within_its_spread(server, join):
    clock = FakeClock()
    server.first = welcome(reconnect_spread_ms=40_000)
    await join(server.address, clock=clock)
    server.cut()
    await clock.until_waiting(20)
    clock.advance(20)
    await server.until(lambda: len(server.hellos) == 2)


async def test_an_agent_takes_over_what_the_server_says_later(server, join):
    clock = FakeClock()
    await join(server.address, clock=clock)
    server.say(pb.ServerMessage(pace=pb.Pace(reconnect_spread_ms=40_000)))
    server.cut()
    await clock.until_waiting(20)


async def test_a_server_that_asks_for_nothing_is_dialled_as_ever(server, join):
    clock = FakeClock()
    await join(server.address, clock=clock)
    server.cut()
    await clock.until_waiting(0.5)


async def test_an_agent_with_runs_comes_back_sooner_from_a_long_absence(server, join):
    clock = FakeClock()
    agent = await join(server.address, clock=clock, first_backoff_s=1000)
    server.assign(make_assignment())
    await until(lambda: agent.units.party_run_ids)
    server.cut()
    # Half of a quarter of the longest delay, not half of the first.
    await clock.until_waiting(450)


@pytest.mark.parametrize(
    ("settings", "terms", "variables"),
    [
        ({"keepalive_s": 10}, {"lost_after_ms": 19_000}, ["KEEPALIVE_S=10", "LOST_AFTER_S"]),
        ({"max_backoff_s": 60}, {"return_grace_ms": 59_000}, ["MAX_BACKOFF_S=60", "RETURN_GRACE"]),
        ({"max_backoff_s": 60}, {"return_grace_ms": 60_000, "lost_after_ms": 20_000}, []),
        # An older server says nothing.
        ({}, {}, []),
    ],
)
async def test_settings_that_contradict_the_server_s_are_told_by_name(
    server, join, settings, terms, variables
):
    server.first = welcome(**terms)
    with capture_logs() as logs:
        await join(server.address, **settings)
    told = [one for one in logs if one["event"] == "settings_contradict_the_server"]
    assert len(told) == bool(variables)
    for each in told:
        assert each["log_level"] == "warning"
        assert all(name in each["message"] for name in variables)
