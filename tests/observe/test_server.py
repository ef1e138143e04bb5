"""What one server says of itself, over HTTP and by gRPC's health service."""

import asyncio
import re
from contextlib import asynccontextmanager

import asyncpg
import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

from flow_contract.errors import InvalidArgument
from flow_contract.tunnels import JOINING_BYTES, Joined
from flow_server_sdk import AsyncFlowServerSdk
from tests.relay.agents import Dialler, kill_thread
from tests.server.flows import make_task


@pytest.fixture
def numbers(fetch):
    """Read the page: numbers(server) is {(name, values of labels by their names): value}."""

    async def numbers(address):
        status, text = await fetch(address, "/metrics")
        assert status == 200
        return {
            (sample.name.removeprefix("fedflow_server_"), *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    return numbers


@asynccontextmanager
async def health(server):
    """Watch gRPC's health service: `await told()` is what it says next."""
    async with grpc.aio.insecure_channel(server.grpc_address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())

        async def told():
            answer = await watch.read()
            return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)

        yield told
        watch.cancel()


@asynccontextmanager
async def closed_to_everybody(cluster, database_url):
    """Let nobody into the database, and end those who are in, as a crash would."""
    [name] = re.findall(r"/(test_[0-9a-f]+)", database_url)
    connection = await asyncpg.connect(cluster.url("postgres"))
    try:
        await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name
        )
        yield
        await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    finally:
        await connection.close()


async def test_a_start_shows_in_the_numbers_of_starts_calls_and_runs(server, sdk, connect, numbers):
    await connect("a")
    task_id = await make_task(sdk, ["a"])
    assert (await sdk.task.start(task_id))["ret_code"] == 0
    assert (await sdk.task.start(task_id))["ret_code"] != 0
    found = await numbers(server.http_address)
    assert found["connected_agents",] == 1
    assert found["agent_sessions_opened_total",] == 1
    assert (found["starts_total", "accepted"], found["starts_total", "refused"]) == (1, 1)
    assert found["start_seconds_count",] == 2
    assert found["rpcs_total", "OK", "TaskService/Start"] == 1
    assert found["rpc_seconds_count", "TaskService/Start"] == 2
    assert found["rpcs_in_progress", "AgentService/Connect"] == 1
    assert found["parties", "connected"] == 1
    assert found["active_party_runs", "pending"] == 1
    assert found["database_up",] == 1


async def test_a_name_that_a_caller_makes_up_is_no_label(server, numbers):
    async with grpc.aio.insecure_channel(server.grpc_address) as channel:
        for method in ("/fedflow.v1.TaskService/Made", "/x.Y/Up"):
            with pytest.raises(grpc.aio.AioRpcError):
                await channel.unary_unary(method)(b"", timeout=30)
    found = await numbers(server.http_address)
    assert found["rpcs_total", "UNIMPLEMENTED", "other"] == 2
    assert [key for key in found if "Made" in str(key) or "Up" in str(key)] == []


async def test_two_servers_in_one_process_count_apart(start, database_url, numbers):
    one, other = await start(), await start()
    async with AsyncFlowServerSdk(*one.grpc_address.rsplit(":", 1)) as sdk:
        await sdk.template.list()
    assert ("rpcs_total", "OK", "TemplateService/List") in await numbers(one.http_address)
    assert ("rpcs_total", "OK", "TemplateService/List") not in await numbers(other.http_address)


async def test_metrics_may_be_elsewhere_or_nowhere(start, fetch, numbers):
    apart = await start(metrics_listen="127.0.0.1:0")
    assert apart.metrics_address != apart.http_address
    assert (await fetch(apart.http_address, "/metrics"))[0] == 404
    assert (await numbers(apart.metrics_address))["ready",] in (0, 1)
    without = await start(metrics=False)
    assert (await fetch(without.metrics_address, "/metrics"))[0] == 404
    assert (await fetch(without.http_address, "/readyz"))[0] == 200


async def test_a_port_for_metrics_that_is_taken_is_refused_by_its_option(start):
    taken = await start()
    with pytest.raises(InvalidArgument, match="--metrics-listen: can't listen on"):
        await start(metrics_listen=taken.http_address)


async def test_without_its_database_a_server_is_alive_and_not_ready_and_shows_why(
    cluster, database_url, server, fetch, numbers
):
    async with health(server) as told:
        assert await told() == "SERVING"
        assert (await fetch(server.http_address, "/readyz"))[0] == 200
        async with closed_to_everybody(cluster, database_url):
            assert await told() == "NOT_SERVING"
            status, text = await fetch(server.http_address, "/readyz")
            assert (status, "database" in text) == (503, True)
            assert (await fetch(server.http_address, "/healthz"))[0] == 200
            found = await numbers(server.http_address)
            assert (found["ready",], found["database_up",]) == (0, 0)
            assert found["database_errors_total", "unavailable"] > 0
        assert await told() == "SERVING"
        assert (await fetch(server.http_address, "/readyz"))[0] == 200


async def test_a_server_whose_relay_can_not_run_is_not_ready_and_says_why(server, fetch):
    assert (await fetch(server.http_address, "/readyz"))[0] == 200
    # Its port is gone, so that it can't be begun anew.
    server.relay.close()
    await kill_thread(server.relay)
    status, text = 200, ""
    while status == 200:
        status, text = await fetch(server.http_address, "/readyz")
    assert (status, "relay" in text) == (503, True)


async def test_what_the_relay_does_is_on_the_page(server, numbers):
    dialler = Dialler(server.relay)
    try:
        one, other = await dialler.joined()
        await one.say(bytes(1000))
        await other.read(1000)
        stranger = await (await dialler.dial()).greeted()
        await stranger.say(bytes(JOINING_BYTES))
        assert await stranger.answer() is Joined.REFUSED
        found = await numbers(server.http_address)
        assert found["relay_tunnels_total",] == found["relay_open_tunnels",] == 1
        assert found["relay_carried_bytes_total",] == 1000
        assert found["relay_refusals_total", "refused"] == 1
        assert found["relay_refusals_total", "alone"] == 0
    finally:
        dialler.close()


async def test_a_server_that_is_ending_is_not_ready_while_it_still_answers(start, fetch):
    server = await start(shutdown_grace_s=60)
    async with health(server) as told:
        assert await told() == "SERVING"
        # It waits for this stream, which has no end of its own.
        ending = asyncio.create_task(server.aclose())
        assert await told() == "NOT_SERVING"
        status, text = await fetch(server.http_address, "/readyz")
        assert (status, "shutting down" in text) == (503, True)
        assert (await fetch(server.http_address, "/healthz"))[0] == 200
        assert not ending.done()
    await ending
