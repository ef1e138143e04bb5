"""What one agent says of itself, over its own listener."""

import asyncio

import pytest
from prometheus_client.parser import text_string_to_metric_families

from party_agent.app import Agent
from party_agent.gpus import GpuInventory
from party_agent.runtime.memory import MemoryRuntime
from party_agent.runtime.memory_state import MemoryState
from party_agent.runtime.port import RuntimeUnavailable
from party_agent.settings import AgentSettings
from party_agent.telemetry.listener import ListenerUnusable
from tests.server.flows import make_task


class MayBeAway(MemoryRuntime):
    """A runtime that answers nothing while `is_away`."""

    is_away = False

    async def inspect(self, party_run_id):
        if self.is_away:
            raise RuntimeUnavailable("the engine has left")
        return await super().inspect(party_run_id)


class Site:
    def __init__(self, address, path, **settings):
        self.runtime = MayBeAway(MemoryState())
        self.agent = Agent(
            AgentSettings(
                insecure=True,
                server=address,
                party="a",
                runtime="memory",
                state_dir=path,
                **{"metrics_listen": "127.0.0.1:0"} | settings,
            ),
            self.runtime,
            gpus=GpuInventory(ids=("0", "1")),
        )

    async def __aenter__(self):
        self._running = asyncio.create_task(self.agent.run())
        await asyncio.wait(
            [self._running, asyncio.create_task(self.agent.connected.wait())],
            return_when=asyncio.FIRST_COMPLETED,
        )
        return self

    async def __aexit__(self, *_):
        await self.agent.aclose()
        await self._running

    @property
    def address(self):
        return self.agent._telemetry.listener.address


@pytest.fixture
async def site(server, tmp_path):
    async with Site(server.grpc_address, tmp_path / "a") as site:
        yield site


async def numbers_at(fetch, address):
    status, text = await fetch(address, "/metrics")
    assert status == 200
    return {
        (sample.name.removeprefix("fedflow_agent_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_a_run_shows_in_the_numbers_of_the_agent(site, sdk, fetch):
    before = await numbers_at(fetch, site.address)
    assert (before["connected",], before["sessions_total",]) == (1, 1)
    assert (before["gpus",], before["gpus_held",]) == (2, 0)
    assert before["certificate_expiry_timestamp_seconds",] == float("inf")
    assert before["state_dir_free_bytes",] > 0
    task_id = await make_task(sdk, ["a"], data="", command=["exit", "0"])
    assert (await sdk.task.start(task_id))["ret_code"] == 0
    ended = await sdk.task.wait(task_id, timeout_s=60)
    assert ended["data"]["status"] == "Succeeded"
    found = await numbers_at(fetch, site.address)
    assert found["party_runs_ended_total", "succeeded"] == 1
    assert found["runtime_calls_total", "prepare", "done"] == 1
    assert found["runtime_call_seconds_count", "launch"] == 1
    assert found["journal_write_seconds_count",] >= 4


async def test_what_the_site_refuses_is_counted_by_its_reason(site, sdk, fetch):
    task_id = await make_task(
        sdk, ["a"], data="", command=["exit", "0"], resources={"gpus": {"count": 3}}
    )
    assert (await sdk.task.start(task_id))["ret_code"] == 0
    await sdk.task.wait(task_id, timeout_s=60)
    found = await numbers_at(fetch, site.address)
    assert found["party_runs_refused_total", "gpu_unavailable"] == 1


async def test_an_agent_is_ready_while_it_is_connected_and_its_runtime_answers(site, server, fetch):
    assert await fetch(site.address, "/healthz") == (200, '{"status": "ok"}\n')
    assert (await fetch(site.address, "/readyz"))[0] == 200
    site.runtime.is_away = True
    status, text = await fetch(site.address, "/readyz")
    assert (status, "the engine has left" in text) == (503, True)
    site.runtime.is_away = False
    assert (await fetch(site.address, "/readyz"))[0] == 200
    await server.aclose()
    # The agent learns of it from the socket; nothing tells a client of that moment.
    while (await fetch(site.address, "/readyz"))[0] != 503:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    status, text = await fetch(site.address, "/readyz")
    assert "no session with the server" in text
    assert (await fetch(site.address, "/healthz"))[0] == 200


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"GET /secret HTTP/1.1\r\nHost: a\r\n\r\n", b"404"),
        (b"POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", b"405"),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", b"431"),
    ],
)
async def test_whatever_else_is_asked_is_refused(site, said, status):
    host, _, port = site.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(said)
    assert (await reader.read(12)).split()[1:] == [status]
    writer.close()


async def test_without_the_option_nobody_listens(server, tmp_path):
    async with Site(server.grpc_address, tmp_path / "a", metrics_listen="") as site:
        assert site.address == ""


async def test_a_port_that_is_taken_is_said_with_the_option(site, server, tmp_path):
    other = Site(server.grpc_address, tmp_path / "other", metrics_listen=site.address)
    with pytest.raises(ListenerUnusable, match="--metrics-listen: can't listen on"):
        await other.agent.run()
