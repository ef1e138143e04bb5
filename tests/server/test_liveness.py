"""Who is dead is found out in time, however silently; who is only busy is not."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from flow_server.settings import ServerSettings
from tests.server.agent_client import ScriptedAgent
from tests.server.flows import make_task, party_status, until_absent
from tests.tcp import TcpProxy

LOST_AFTER_S = 5
# Python, Postgres and a sweep on a machine that does other things too.
LATE_S = 20
pytestmark = pytest.mark.parametrize(
    "server_options", [{"lost_after_s": LOST_AFTER_S, "sweep_s": 0.05, "return_grace_s": 0}]
)


async def run_at(sdk, agent):
    task_id = await make_task(sdk, [agent.federated_id])
    await sdk.task.start(task_id)
    await agent.prepare()
    await agent.launch()
    return task_id


async def until_lost(sdk, task_id, party):
    lost = asyncio.Event()

    def look(data):
        if data["party_status"][0]["state"] == "lost":
            lost.set()

    waiting = asyncio.create_task(sdk.task.wait(task_id, on_change=look))
    await asyncio.wait_for(lost.wait(), LOST_AFTER_S + LATE_S)
    waiting.cancel()
    assert (await party_status(sdk, task_id))[party] == ("lost", "lease_expired")


async def test_an_agent_behind_a_connection_that_went_silent_is_lost(sdk, server):
    async with TcpProxy(server.grpc_address) as proxy:
        agent = ScriptedAgent(proxy.address, "hospital-a")
        await agent.connect()
        task_id = await run_at(sdk, agent)
        proxy.silence()
        await until_lost(sdk, task_id, "hospital-a")
        assert not (await sdk.party.get("hospital-a"))["data"]["connected"]
        await agent.cut()


async def test_an_idle_agent_behind_a_healthy_connection_stays(sdk, server, connect):
    agent = await connect("hospital-a")
    task_id = await run_at(sdk, agent)
    # Nothing but pings for longer than an agent may be dead.
    with pytest.raises(TimeoutError):
        await sdk.task.wait(task_id, timeout_s=LOST_AFTER_S + 2)
    assert (await party_status(sdk, task_id))["hospital-a"] == ("running", "none")
    assert (await sdk.party.get("hospital-a"))["data"]["connected"]


BUSY = """
    import asyncio, sys, time
    from flow_contract.lifecycle import PartyRunState
    from tests.server.agent_client import ScriptedAgent

    async def main():
        agent = ScriptedAgent(sys.argv[1], "hospital-a")
        await agent.connect()
        await agent.prepare()
        await agent.launch()
        print("busy", flush=True)
        # As if a workload had every core and the agent's own loop were stuck in a long step.
        until = time.monotonic() + float(sys.argv[2])
        while time.monotonic() < until:
            pass
        print("free", flush=True)
        (item,) = agent.assignments.values()
        await agent.finish(item)
        await agent.cut()

    asyncio.run(main())
"""


def start_busy_agent(server, seconds):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(BUSY), server.grpc_address, str(seconds)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        stdout=subprocess.PIPE,
        text=True,
    )


async def test_a_busy_agent_is_not_taken_for_a_dead_one(sdk, server):
    task_id = await make_task(sdk, ["hospital-a"])
    process = start_busy_agent(server, 2 * LOST_AFTER_S)
    seen = set()
    try:
        await until_known(sdk, "hospital-a")
        await sdk.task.start(task_id)
        assert (await asyncio.to_thread(process.stdout.readline)).strip() == "busy"
        final = await sdk.task.wait(
            task_id, timeout_s=120, on_change=lambda data: seen.add(data["status"])
        )
        assert final["data"]["status"] == "Succeeded"
        assert "Unknown" not in seen
    finally:
        process.kill()
        process.communicate()


async def test_a_killed_agent_is_absent_at_once_and_lost_in_time(sdk, server):
    task_id = await make_task(sdk, ["hospital-a"])
    process = start_busy_agent(server, 600)
    try:
        await until_known(sdk, "hospital-a")
        await sdk.task.start(task_id)
        assert (await asyncio.to_thread(process.stdout.readline)).strip() == "busy"
        process.send_signal(signal.SIGKILL)
        await until_absent(sdk, "hospital-a")
        await until_lost(sdk, task_id, "hospital-a")
    finally:
        process.kill()
        process.communicate()


async def until_known(sdk, party):
    async with asyncio.timeout(60):
        # Nothing tells a client that a party has connected for the first time.
        while (await sdk.party.get(party))["ret_code"]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def test_a_dead_agent_is_lost_within_the_one_setting(server_options):
    del server_options
    for lost_after_s in (2, 5, 30, 3600):
        settings = ServerSettings(lost_after_s=lost_after_s, sweep_s=0.1)
        # The ping goes out after a silence, its answer stays out, the lease was just renewed.
        worst_s = 2 * settings.keepalive_s + settings.lease_s
        assert worst_s <= lost_after_s * 0.9
        assert settings.lease_renewal_s * 3 <= settings.lease_s
    assert ServerSettings().lost_after_s == 30
