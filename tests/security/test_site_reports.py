"""Logs and metrics pushed with a site's certificate, and nobody else's taken."""

from dataclasses import replace

import grpc
import pytest

from flow_contract.logs import LogRequest, LogState
from flow_contract.metrics import MetricBatch, MetricPoints
from flow_server_sdk import AsyncFlowServerSdk
from flow_wire import logs_pb2_grpc, metrics_pb2, metrics_pb2_grpc
from flow_wire.codec.logs import encode_log_request
from flow_wire.codec.metrics import encode_metric_batch
from tests.security.conftest import ANSWER_S
from tests.server.flows import make_task
from tests.server.log_client import Pusher, chunk_of

TWO = ("hospital-a", "hospital-b")
POINTS = MetricPoints(names=("loss",), steps=(1,), at_us=(1_000_000,), values=(0.5,))
FORBIDDEN = grpc.StatusCode.PERMISSION_DENIED


class Stage:
    """A task that runs at two enrolled sites."""

    def __init__(self, flow, sdk):
        self.flow = flow
        self.sdk = sdk
        self.proofs = {}
        self.party_runs = {}
        self._agents = []

    async def begin(self):
        for party in TWO:
            self.proofs[party] = await self.flow.proof_for(party)
            agent = self.flow.agent(party, self.proofs[party])
            await agent.connect()
            self._agents.append(agent)
        self.task_id = await make_task(self.sdk, TWO)
        await self.sdk.task.start(self.task_id)
        for agent in self._agents:
            await agent.prepare()
        for agent in self._agents:
            item = await agent.launch()
            self.party_runs[agent.federated_id] = item.spec.party_run_id

    def pusher(self, party, *, shows):
        credentials = self.proofs[shows].credentials
        return Pusher(self.flow.server.agents_address, party, credentials=credentials)

    def metrics(self, *, shows):
        credentials = self.proofs[shows].credentials if shows else None
        address = self.flow.server.agents_address
        channel = self.flow.dial(address, credentials) if shows else self.flow.users()
        return metrics_pb2_grpc.MetricServiceStub(channel)

    def batch(self, party):
        return MetricBatch(party_run_id=self.party_runs[party], first_sequence=1, points=POINTS)

    async def push_metrics(self, batch, *, says, shows):
        request = metrics_pb2.PushMetricsRequest(
            federated_id=says, batch=encode_metric_batch(batch)
        )
        return (await self.metrics(shows=shows).Push(request, timeout=ANSWER_S)).stored

    async def lines(self):
        return [line.raw async for line in self.sdk.task.logs(self.task_id)]

    async def values(self):
        points = (await self.sdk.task.metrics(self.task_id))["data"]["points"]
        return [(point["party"], point["value"]) for point in points]


@pytest.fixture
async def stage(flow):
    host, port = flow.server.grpc_address.rsplit(":", 1)
    token = flow.pki.admin_token.read_text().strip()
    sdk = AsyncFlowServerSdk(host, int(port), token=token, ca=flow.pki.ca_certificate)
    async with sdk:
        stage = Stage(flow, sdk)
        await stage.begin()
        yield stage


async def refused(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details()


async def test_a_site_s_certificate_lets_its_logs_and_metrics_in(stage):
    for party in TWO:
        async with stage.pusher(party, shows=party) as pusher:
            await pusher.hello(stage.party_runs[party])
            chunk = chunk_of(stage.party_runs[party], 0, party.encode() + b"\n")
            assert (await pusher.push(chunk)).end == chunk.end
            closed = await pusher.close(stage.party_runs[party], chunk.end)
            assert closed.state is LogState.CLOSED
        assert await stage.push_metrics(stage.batch(party), says=party, shows=party) == 1
    assert sorted(await stage.lines()) == [party.encode() for party in TWO]
    assert await stage.values() == [(party, 0.5) for party in TWO]


async def test_another_party_s_logs_are_refused_whatever_name_is_said(stage):
    theirs = stage.party_runs["hospital-a"]
    async with stage.pusher("hospital-b", shows="hospital-b") as pusher:
        code, text = await refused_push(pusher, theirs)
    assert (code, "another party's" in text) == (FORBIDDEN, True)
    async with stage.pusher("hospital-a", shows="hospital-b") as pusher:
        code, text = await refused_push(pusher, theirs)
    assert (code, "certificate is for party 'hospital-b'" in text) == (FORBIDDEN, True)
    assert await stage.lines() == []


async def refused_push(pusher, party_run_id):
    with pytest.raises((AssertionError, grpc.aio.AioRpcError)):
        await pusher.hello(party_run_id)
    return await pusher.call.code(), await pusher.call.details()


async def test_another_party_s_metrics_are_refused_whatever_name_is_said(stage):
    theirs = stage.batch("hospital-a")
    for says in TWO:
        code, _ = await refused(stage.push_metrics(theirs, says=says, shows="hospital-b"))
        assert code is FORBIDDEN
    unknown = replace(theirs, party_run_id="nobody's")
    code, _ = await refused(stage.push_metrics(unknown, says="hospital-b", shows="hospital-b"))
    assert code is grpc.StatusCode.NOT_FOUND
    assert await stage.values() == []


async def test_nothing_is_pushed_over_the_users_port_nor_read_over_the_agents(stage):
    code, _ = await refused(
        stage.push_metrics(stage.batch("hospital-a"), says="hospital-a", shows=None)
    )
    assert code in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNAUTHENTICATED, FORBIDDEN)
    credentials = stage.proofs["hospital-a"].credentials
    channel = stage.flow.dial(stage.flow.server.agents_address, credentials)
    reading = logs_pb2_grpc.LogServiceStub(channel).Read(
        encode_log_request(LogRequest(task_id=stage.task_id)), timeout=ANSWER_S
    )
    code, _ = await refused(reading.read())
    assert code in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNAUTHENTICATED, FORBIDDEN)


async def test_a_revoked_site_pushes_nothing_more(stage):
    party_run_id = stage.party_runs["hospital-a"]
    async with stage.pusher("hospital-a", shows="hospital-a") as pusher:
        await pusher.hello(party_run_id)
        chunk = chunk_of(party_run_id, 0, b"before\n")
        await pusher.push(chunk)
        await stage.flow.revoke("hospital-a")
        await pusher.send(chunk_of(party_run_id, chunk.end, b"after\n"))
        assert await pusher.refused() is FORBIDDEN
    with pytest.raises(grpc.aio.AioRpcError):
        await stage.push_metrics(stage.batch("hospital-a"), says="hospital-a", shows="hospital-a")
    assert await stage.lines() == [b"before"]
    assert await stage.values() == []
