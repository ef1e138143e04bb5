"""What workloads measure reaches the server, over cut connections, refusals and killed agents."""

import asyncio
import contextlib
from dataclasses import replace

import grpc
import pytest

from party_agent.metric_push import RETRY_S, MetricPush
from party_agent.workload_api.host import ApiHost
from party_agent.workload_api.readings import SentBatch, SentPoint
from tests.agent.fakes import EVERYTHING, FakeClock, make_spec, until

NO_METRICS = replace(EVERYTHING, metrics=False)


class Party:
    """One agent's reports and the pushing of them; `stop` and `start` are a kill and a return."""

    def __init__(self, path, server):
        self._path, self._server = path, server
        self.clock = FakeClock()
        self._task = None

    async def start(self, *known):
        self.host = ApiHost(self._path, self.clock.now)
        await self.host.open(frozenset(known))
        self.connect()

    def connect(self):
        self._task = asyncio.create_task(self._push())

    async def disconnect(self):
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def stop(self):
        await self.disconnect()
        await self.host.aclose()

    async def _push(self):
        async with grpc.aio.insecure_channel(self._server.address) as channel:
            push = MetricPush(federated_id="hospital-a", host=self.host, clock=self.clock)
            await push.run(channel)

    async def measure(self, *values, dropped=0, party_run_id="run1"):
        await self.host.serve(make_spec(party_run_id), lambda says: None, EVERYTHING)
        points = tuple(SentPoint(name="loss", value=v, step=None, at_us=None) for v in values)
        self.host._spools[party_run_id].add(SentBatch(points=points, batch="", dropped=dropped), 0)
        self.host.send_again(party_run_id)

    def left(self):
        return list((self._path / "metrics").iterdir())


@pytest.fixture
async def party(tmp_path, server):
    party = Party(tmp_path, server)
    await party.start()
    yield party
    await party.stop()


async def test_points_arrive_once_each_and_in_order(server, party):
    await party.measure(*range(12_000))
    await party.measure(12_000)
    assert await server.until_metrics("run1", 12_001) == list(range(12_001))


async def test_a_new_connection_and_a_new_agent_go_on_where_the_server_is(server, party):
    await party.measure(1, 2)
    await server.until_metrics("run1", 2)
    await party.disconnect()
    await party.measure(3)
    party.connect()
    await server.until_metrics("run1", 3)
    await party.stop()
    await party.start("run1")
    await party.measure(4)
    assert await server.until_metrics("run1", 4) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "refusal",
    # The second is what a site hears that was revoked: it may be let in again.
    [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.PERMISSION_DENIED],
)
async def test_a_server_that_can_not_store_now_is_asked_again(server, party, refusal):
    server.metrics.refusal = refusal
    await party.measure(1)
    await party.clock.until_waiting(RETRY_S)
    server.metrics.refusal = None
    party.clock.advance(RETRY_S)
    assert await server.until_metrics("run1", 1) == [1]


async def test_what_the_server_will_never_take_is_given_up_and_the_rest_goes_on(server, party):
    server.metrics.refusal = grpc.StatusCode.NOT_FOUND
    await party.measure(1)
    await until(lambda: party.host._spools["run1"].is_told)
    server.metrics.refusal = None
    await party.measure(2, party_run_id="run2")
    assert await server.until_metrics("run2", 1) == [2]
    assert server.metrics.values["run1"] == []


async def test_an_older_server_is_not_asked_again_and_the_session_goes_on(server, party):
    server.metrics.refusal = grpc.StatusCode.UNIMPLEMENTED
    await party.measure(1)
    await until(lambda: server.metrics.pushes == 1)
    await party.measure(2)
    await party.disconnect()
    server.metrics.refusal = None
    party.connect()
    assert await server.until_metrics("run1", 2) == [1, 2]


async def test_how_many_points_were_dropped_is_told_also_without_any_point(server, party):
    await party.measure(dropped=7)
    await until(lambda: server.metrics.dropped.get("run1") == 7)
    assert server.metrics.values["run1"] == []


async def test_how_many_points_were_dropped_outlives_a_kill(server, party):
    await party.disconnect()
    await party.measure(dropped=7)
    await party.stop()
    await party.start("run1")
    await until(lambda: server.metrics.dropped.get("run1") == 7)


async def test_a_site_that_keeps_points_says_which_rule_does_and_no_more(server, party):
    spec = make_spec("run1")
    await party.host.serve(spec, lambda says: None, NO_METRICS)
    await until(lambda: server.metrics.withheld.get("run1") == "leave.metrics")
    assert server.metrics.values["run1"] == []
    assert server.metrics.dropped["run1"] == 0
    await party.host.end("run1")
    await until(lambda: party.left() == [])


async def test_that_points_were_kept_outlives_a_kill_and_another_rule(server, party):
    await party.disconnect()
    await party.host.serve(make_spec("run1"), lambda says: None, NO_METRICS)
    await party.stop()
    await party.start("run1")
    await party.measure(1)
    await server.until_metrics("run1", 1)
    assert server.metrics.withheld["run1"] == "leave.metrics"


async def test_reports_of_an_ended_workload_are_removed_once_they_have_arrived(server, party):
    await party.measure(1)
    await party.host.end("run1")
    await server.until_metrics("run1", 1)
    await until(lambda: party.left() == [])
