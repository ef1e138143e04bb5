"""Tunnels between agents that are connected to different replicas."""

import asyncio

import grpc
import pytest

from flow_contract.tunnels import Joined, Side
from tests.relay.agents import Dialler
from tests.server.agent_client import ScriptedAgent
from tests.server.flows import until_absent
from tests.server.tunnelled import MESH, SERVES, start_coordinated


class At:
    """A relay of another process."""

    def __init__(self, address):
        self.port = int(address.rpartition(":")[2])


@pytest.fixture
async def apart(make_replicas, client_of, stack):
    """Two replicas, and a run whose coordinator is at the second and all parties at the first."""
    first, second = await make_replicas(2)
    sdk = await client_of(first)
    channel = await stack.enter_async_context(grpc.aio.insecure_channel(first.address))

    async def connect(federated_id):
        place = second if federated_id == "hub" else first
        agent = ScriptedAgent(place.address, federated_id)
        stack.push_async_callback(agent.cut)
        await agent.connect()
        return agent

    return first, second, await start_coordinated(sdk, channel, connect)


async def test_an_offer_reaches_an_agent_of_another_replica_and_both_meet_where_it_was_opened(
    apart, stack
):
    first, second, run = apart
    for own, peer, place, port in [
        ("hospital-a", "coordinator", first, SERVES),
        ("coordinator", "hospital-b", second, MESH),
    ]:
        ticket = await run.open(own, peer, port)
        agent = run.agents[peer]
        await agent.until(lambda agent=agent: agent.offers)
        assert [offer.ticket for offer in agent.offers] == [ticket]
        relay = At(place.relay_address)
        assert ticket.relay_address == f":{relay.port}"
        dialler = Dialler(relay)
        stack.callback(dialler.close)
        one, other = [await dialler.proven(ticket, side) for side in Side]
        assert [await end.answer() for end in (one, other)] == [Joined.JOINED] * 2
        await one.say(b"through one relay")
        assert await other.read(17) == b"through one relay"


async def test_an_agent_that_went_to_another_replica_is_offered_there(apart):
    first, _, run = apart
    moved = ScriptedAgent(first.address, "hub")
    await moved.connect()
    try:
        assert moved.epoch > run.agents["coordinator"].epoch
        await run.open("hospital-a", "coordinator", SERVES)
        await moved.until(lambda: moved.offers)
    finally:
        await moved.cut()


async def test_an_agent_that_no_replica_has_is_said_to_be_away_at_once(apart, client_of):
    first, _, run = apart
    await run.agents["coordinator"].cut()
    await until_absent(await client_of(first), "hub")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await run.open("hospital-a", "coordinator", SERVES)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_200_at_once_reach_an_agent_of_another_replica(apart):
    _, _, run = apart
    tickets = await asyncio.gather(
        *(run.open("hospital-a", "coordinator", SERVES) for _ in range(200))
    )
    agent = run.agents["coordinator"]
    await agent.until(lambda: len(agent.offers) == 200)
    assert {offer.ticket.secret for offer in agent.offers} == {each.secret for each in tickets}


async def test_a_relay_goes_with_its_replica_and_another_serves_on(apart):
    first, second, run = apart
    dialler = Dialler(At(first.relay_address))
    ticket = await run.open("hospital-a", "coordinator", SERVES)
    ends = [await dialler.proven(ticket, side) for side in Side]
    assert [await end.answer() for end in ends] == [Joined.JOINED] * 2
    await asyncio.to_thread(first.kill)
    # A killed process ends its sockets, whatever was in them.
    for end in ends:
        assert await end.end() in {"closed", "reset"}
        end.close()
    moved = ScriptedAgent(second.address, "hospital-a", instance_id="instance-of-hospital-a")
    await moved.connect()
    try:
        run.agents["hospital-a"] = moved
        ticket = await run.open("hospital-a", "coordinator", SERVES)
        assert ticket.relay_address == f":{At(second.relay_address).port}"
    finally:
        await moved.cut()
