"""Who counts as absent when: after a server's own absence, and when its sweeps are slow."""

import asyncio

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from flow_server.app import FlowServer
from flow_server.services.absences import AbsenceService
from flow_server.services.vigil import Vigil
from flow_server.settings import ServerSettings, problems
from flow_server.storage.database import Database
from party_agent.app import Agent
from party_agent.runtime.memory import MemoryRuntime
from party_agent.settings import AgentSettings
from tests.server.flows import make_task, party_status, until_absent

RUNNING = ("running", "none")
LOST = ("lost", "lease_expired")
LATE_S = 30


async def run_at(sdk, agent):
    task_id = await make_task(sdk, [agent.federated_id])
    await sdk.task.start(task_id)
    await agent.prepare()
    await agent.launch()
    return task_id


async def sql(engine, statement, *values):
    async with engine.begin() as connection:
        await connection.exec_driver_sql(statement, values)


@pytest.mark.parametrize("server_options", [{"lost_after_s": 4, "sweep_s": 0.05}])
async def test_who_was_gone_before_a_server_s_restart_is_lost_on_time_after_it(
    sdk, connect, server
):
    agent = await connect("hospital-a")
    task_id = await run_at(sdk, agent)
    await agent.cut()
    await until_absent(sdk, "hospital-a")
    await server.aclose()
    # On the same port, so that the client finds it.
    host, port = server.grpc_address.rsplit(":", 1)
    again = FlowServer(server._settings.model_copy(update={"host": host, "port": int(port)}))
    await again.start()
    try:
        # The time for agents to come back, 75 s, is not over.
        async with asyncio.timeout(LATE_S):
            # Of what time does to rows nothing tells a client.
            while (await party_status(sdk, task_id))["hospital-a"] != LOST:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    finally:
        await again.aclose()


@pytest.fixture
async def judge(engine):
    """An AbsenceService beside the server's own, whose time the test sets."""

    class Judge:
        now_s = 1000.0

        def __init__(self):
            self.vigil = Vigil(longest_gap_s=7.5, clock_s=lambda: self.now_s)
            self.absences = AbsenceService(
                Database(engine), vigil=self.vigil, orphan_grace_s=12, return_grace_s=75
            )

        def renew_for(self, seconds):
            for _ in range(int(seconds / 5)):
                self.now_s += 5
                self.vigil.keep()

    return Judge()


async def orphan(engine, seconds):
    """Make the party one whose server vanished `seconds` after the end of its lease ago."""
    await sql(
        engine,
        "UPDATE parties SET owner_id = 'vanished', lease_expires_at = now() - $1 * interval '1 s'",
        seconds,
    )


async def test_an_orphan_is_lost_once_servers_have_served_for_the_time_to_return(
    sdk, connect, engine, judge
):
    agent = await connect("hospital-a")
    task_id = await run_at(sdk, agent)
    await agent.cut()
    await until_absent(sdk, "hospital-a")
    await orphan(engine, 3600)
    judge.vigil.keep()
    judge.renew_for(70)
    await judge.absences.sweep()
    assert (await party_status(sdk, task_id))["hospital-a"] == RUNNING

    judge.renew_for(5)
    await judge.absences.sweep()
    assert (await party_status(sdk, task_id))["hospital-a"] == LOST


async def test_where_a_server_served_all_along_an_orphan_is_lost_soon_after_its_lease(
    sdk, connect, engine, judge
):
    agent = await connect("hospital-a")
    task_id = await run_at(sdk, agent)
    await agent.cut()
    await until_absent(sdk, "hospital-a")
    judge.vigil.keep()
    judge.renew_for(80)
    # Fewer than it gets, by more than a test takes.
    await orphan(engine, -60)
    await judge.absences.sweep()
    assert (await party_status(sdk, task_id))["hospital-a"] == RUNNING
    await orphan(engine, 13)
    await judge.absences.sweep()
    assert (await party_status(sdk, task_id))["hospital-a"] == LOST


async def test_a_server_that_ends_leaves_its_parties_the_time_to_find_another(
    sdk, connect, server, engine
):
    agent = await connect("hospital-a")
    await run_at(sdk, agent)
    await server.aclose()
    await agent.ended()
    async with engine.begin() as connection:
        owner = (await connection.exec_driver_sql("SELECT owner_id FROM parties")).scalar_one()
    assert owner is not None


def clock():
    class Clock:
        now_s = 50.0

        def __call__(self):
            return self.now_s

    return Clock()


def test_slow_sweeps_do_not_begin_the_time_to_return_anew():
    now = clock()
    vigil = Vigil(longest_gap_s=7, clock_s=now)
    vigil.keep()
    # Whatever the sweeps do meanwhile: what counts is that leases were renewed.
    for _ in range(15):
        now.now_s += 5
        vigil.keep()
    assert vigil.has_lasted(75)


def test_a_gap_that_leases_run_out_in_begins_it_anew():
    now = clock()
    vigil = Vigil(longest_gap_s=7, clock_s=now)
    assert not vigil.has_lasted(0)
    vigil.keep()
    assert vigil.has_lasted(0)
    now.now_s += 7.5
    # Nothing is renewed at present, so nobody is judged.
    assert not vigil.has_lasted(0)
    vigil.keep()
    assert not vigil.has_lasted(7.5)
    assert vigil.has_lasted(0)


async def test_agents_are_told_over_how_long_to_come_back(server, connect, sdk):
    agents = [await connect(f"hospital-{number}") for number in range(3)]
    assert [round(one.welcome.reconnect_spread_ms) for one in agents] == [5, 10, 15]
    assert agents[0].welcome.lost_after_ms == 30_000
    assert agents[0].welcome.return_grace_ms == 75_000


# One a second: the third agent changes what the first was told; renewals every third of a second.
FEW = {"lost_after_s": 20, "reconnects_per_s": 1}


@pytest.mark.parametrize("server_options", [FEW])
async def test_agents_hear_that_their_number_has_grown(server, connect):
    first = await connect("hospital-a")
    for party in ("hospital-b", "hospital-c", "hospital-d"):
        await connect(party)
    await first.until(lambda: first.paces and first.paces[-1] >= 3000)


async def test_a_server_lets_its_agents_ping_as_often_as_they_like(server, sdk):
    settings = AgentSettings(
        insecure=True,
        server=server.grpc_address,
        party="hospital-a",
        runtime="memory",
        keepalive_s=0.1,
    )
    agent = Agent(settings, MemoryRuntime())
    running = asyncio.create_task(agent.run())
    await agent.connected.wait()
    # By default a server ends a connection at one ping too many, here after 5 s. Nothing tells of
    # one that stays but time that passes.
    with capture_logs() as logs:
        await asyncio.sleep(8)
    assert agent.connected.is_set()
    assert not [entry for entry in logs if entry["event"] == "connection_lost"]
    await agent.aclose()
    await running


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"sweep_s": 4, "lost_after_s": 30}, ["FEDFLOW_SERVER_SWEEP_S"]),
        ({"return_grace_s": 5}, ["FEDFLOW_SERVER_RETURN_GRACE_S"]),
        ({"port": 5, "http_port": 5}, ["--http-port"]),
        ({"port": 5, "relay_port": 5}, ["--relay-port"]),
        ({"agents_port": 5, "relay_port": 5}, ["--relay-port"]),
        ({"port": 1238}, ["--relay-port"]),
        (
            {"port": 5, "http_port": 5, "sweep_s": 3, "lost_after_s": 20, "return_grace_s": 1},
            ["FEDFLOW_SERVER_SWEEP_S", "FEDFLOW_SERVER_RETURN_GRACE_S", "--http-port"],
        ),
    ],
)
def test_settings_that_contradict_one_another_are_all_named_at_once(given, named):
    with pytest.raises(ValidationError) as refused:
        ServerSettings(**given)
    lines = problems(refused.value)
    assert len(lines) == len(named)
    for line, name in zip(lines, named, strict=True):
        assert line.startswith(f"{name}: ")


def test_settings_that_fit_are_taken():
    ServerSettings(return_grace_s=0)
    ServerSettings(port=0, http_port=0)
    ServerSettings(port=1238, relay=False)
    assert ServerSettings(host="127.0.0.2").relay_listens_at == ("127.0.0.2", 1238)
    assert ServerSettings(port=0).relay_listens_at[1] == 0
    # A short time asks for more frequent sweeps by itself.
    assert ServerSettings(lost_after_s=2).sweeps_every_s == 0.2
    assert ServerSettings().sweeps_every_s == 1
