"""Whose certificate opens which tunnel."""

import asyncio

import grpc
import pytest

from flow_server_sdk import AsyncFlowServerSdk
from tests.server.tunnelled import MESH, SERVES, start_coordinated

CODE = grpc.StatusCode


@pytest.fixture
async def run(flow):
    proofs = {}

    async def connect(party):
        if party not in proofs:
            proofs[party] = await flow.proof_for(party)
        agent = flow.agent(party, proofs[party])
        await agent.connect()
        return agent

    host, port = flow.server.grpc_address.rsplit(":", 1)
    token = flow.pki.admin_token.read_text().strip()
    async with AsyncFlowServerSdk(host, port, token=token, ca=flow.pki.ca_certificate) as sdk:
        return await start_coordinated(sdk, flow.users(), connect, metadata=flow.admin)


async def refused(opening):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await opening
    return caught.value.code()


async def test_a_party_opens_tunnels_of_its_own_party_runs_and_of_nobody_elses(run):
    assert await run.open("hospital-a", "coordinator", SERVES)
    for own, agent in [("hospital-a", "hospital-b"), ("coordinator", "hospital-a")]:
        code = await refused(run.open(own, "hospital-b", MESH, agent=agent))
        assert code is CODE.NOT_FOUND


async def test_a_party_that_was_revoked_opens_none(run, flow):
    await flow.revoke("hospital-a")
    code = await refused(run.open("hospital-a", "coordinator", SERVES))
    assert code in {CODE.PERMISSION_DENIED, CODE.UNAUTHENTICATED}


async def test_no_secret_and_no_byte_is_ever_in_the_log(run, log):
    ticket = await run.open("hospital-a", "coordinator", SERVES)
    agent = run.agents["coordinator"]
    await agent.until(lambda: agent.offers)
    written = log.getvalue()
    assert "TunnelService/Open" in written
    for form in (ticket.secret.hex(), repr(ticket.secret), repr(ticket.secret)[2:-1]):
        assert form not in written


async def test_500_at_once_from_one_agent_are_within_the_limits_of_one_party(run):
    tickets = await asyncio.gather(
        *(run.open("hospital-a", "coordinator", SERVES) for _ in range(500))
    )
    agent = run.agents["coordinator"]
    await agent.until(lambda: len(agent.offers) == len(tickets))
