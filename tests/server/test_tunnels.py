"""Opening tunnels: who may, to which port, and what the other's agent is told."""

import asyncio
import secrets

import grpc
import pytest

from flow_contract.coordination import PortRange
from flow_contract.errors import Unavailable
from flow_contract.tunnels import Joined, Offer, Side, Ticket
from flow_server.hub import sessions
from flow_server.hub.sessions import Session
from flow_server.storage.tunnels import offer_from_text, offer_to_text
from tests.relay.agents import Dialler, kill_thread
from tests.server.flows import make_task, until_absent
from tests.server.tunnelled import MESH, SERVES, make_template, start_coordinated

CODE = grpc.StatusCode


@pytest.fixture
async def channel(server):
    async with grpc.aio.insecure_channel(server.grpc_address) as channel:
        yield channel


@pytest.fixture
async def run(sdk, channel, connect):
    return await start_coordinated(sdk, channel, connect)


async def refused(opening):
    """Return the status code and text with which it was refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await opening
    return caught.value.code(), caught.value.details()


@pytest.mark.parametrize(
    ("own", "peer", "port"),
    [
        ("hospital-a", "coordinator", SERVES),
        ("hospital-a", "hospital-b", MESH),
        ("coordinator", "hospital-b", MESH),
        ("hospital-b", "coordinator", MESH),
    ],
)
async def test_who_opens_gets_a_ticket_and_the_other_agent_the_same_with_what_it_is_for(
    run, server, own, peer, port
):
    ticket = await run.open(own, peer, port)
    agent = run.agents[peer]
    await agent.until(lambda: agent.offers)
    [offer] = agent.offers
    assert offer == Offer(
        ticket=ticket,
        party_run_id=run.party_run_ids[peer],
        peer_party_run_id=run.party_run_ids[own],
        peer_federated_id=run.items[own].spec.federated_id,
        port=port,
    )
    assert ticket.relay_address == f":{server.relay_address.rpartition(':')[2]}"
    assert [len(ticket.tunnel_id), len(ticket.secret)] == [16, 32]


async def test_the_two_meet_at_the_relay_that_the_ticket_names(run, server):
    ticket = await run.open("hospital-a", "coordinator", SERVES)
    dialler = Dialler(server.relay)
    try:
        assert ticket.relay_address == f":{server.relay.port}"
        one, other = [await dialler.proven(ticket, side) for side in Side]
        assert [await end.answer() for end in (one, other)] == [Joined.JOINED] * 2
        await one.say(b"ciphertext")
        assert await other.read(10) == b"ciphertext"
    finally:
        dialler.close()


async def test_a_relay_that_dies_is_begun_anew_at_its_port(run, server):
    relay = server.relay
    thread = await kill_thread(relay)
    while relay._thread in {None, thread}:  # noqa: ASYNC110 - nobody is told
        await asyncio.sleep(0.01)
    ticket = await run.open("hospital-a", "coordinator", SERVES)
    assert ticket.relay_address == f":{relay.port}"
    dialler = Dialler(relay)
    try:
        ends = [await dialler.proven(ticket, side) for side in Side]
        assert [await end.answer() for end in ends] == [Joined.JOINED] * 2
    finally:
        dialler.close()


@pytest.mark.parametrize(
    ("own", "peer", "port", "words"),
    [
        ("hospital-a", "coordinator", 22, "list it in the template's coordinator.ports"),
        ("hospital-a", "hospital-b", SERVES, "list it in the template's mesh"),
        ("coordinator", "hospital-a", SERVES, "port 8080 of the party at 'hospital-a'"),
    ],
)
async def test_a_port_that_is_not_declared_is_refused_with_where_to_declare_it(
    run, own, peer, port, words
):
    code, text = await refused(run.open(own, peer, port))
    assert code is CODE.FAILED_PRECONDITION
    assert words in text
    assert not any(agent.offers for agent in run.agents.values())


async def test_without_a_mesh_parties_reach_the_coordinator_and_nobody_else(sdk, channel, connect):
    run = await start_coordinated(sdk, channel, connect, mesh=())
    assert await run.open("hospital-a", "coordinator", SERVES)
    for own, peer in [("hospital-a", "hospital-b"), ("coordinator", "hospital-a")]:
        assert (await refused(run.open(own, peer, MESH)))[0] is CODE.FAILED_PRECONDITION


async def test_a_range_reaches_from_its_first_port_to_its_last(sdk, channel, connect):
    run = await start_coordinated(
        sdk, channel, connect, mesh=(PortRange(first=30_000, last=30_010),)
    )
    for port in (30_000, 30_010):
        assert await run.open("hospital-a", "hospital-b", port)
    for port in (29_999, 30_011):
        code, _ = await refused(run.open("hospital-a", "hospital-b", port))
        assert code is CODE.FAILED_PRECONDITION


async def test_nobody_reaches_what_is_not_of_his_run(run, sdk, connect):
    stranger = await connect("hospital-c")
    task_id = await make_task(sdk, ["hospital-c"], name="another")
    await sdk.task.start(task_id)
    await stranger.prepare()
    other = (await stranger.launch()).spec.party_run_id
    agent, own = run.agents["hospital-a"], run.party_run_ids["hospital-a"]
    for own_id, peer_id, field in [
        (own, other, "reach one of the assignment's peers"),
        (other, own, "reach one of the assignment's peers"),
        (own, own, "reach one of the assignment's peers"),
        (own, "0" * 32, "reach one of the assignment's peers"),
        ("0" * 32, own, "no such party run"),
        ("", "", "no such party run"),
    ]:
        code, text = await refused(agent.open_tunnel(own_id, peer_id, MESH))
        assert code is CODE.NOT_FOUND
        assert field in text


@pytest.mark.parametrize("port", [0, -1, 65_536])
async def test_what_is_no_port_is_said_to_be_none(run, port):
    code, text = await refused(run.open("hospital-a", "coordinator", port))
    assert code is CODE.INVALID_ARGUMENT
    assert text.startswith("port: ")


async def test_a_run_that_is_not_launched_yet_opens_nothing(sdk, channel, connect):
    agents = [await connect(party) for party in ("hospital-a", "hospital-b")]
    template_id = await make_template(channel)
    await connect("hub")
    data = [{"federated_id": agent.federated_id, "federated_data": ""} for agent in agents]
    created = await sdk.task.create("task", template_id, "", data)
    await sdk.task.start(created["data"]["task_id"])
    item = await agents[0].prepare()
    [peer] = [peer for peer in item.spec.peers if peer.name == "coordinator"]
    code, text = await refused(
        agents[0].open_tunnel(item.spec.party_run_id, peer.party_run_id, SERVES)
    )
    assert code is CODE.FAILED_PRECONDITION
    assert "not been launched" in text


async def test_a_member_that_has_ended_is_reached_no_more_and_reaches_nobody(run):
    await run.agents["hospital-b"].finish(run.items["hospital-b"])
    code, text = await refused(run.open("hospital-a", "hospital-b", MESH))
    assert code is CODE.FAILED_PRECONDITION
    assert "the party at 'hospital-b' has ended" in text
    code, text = await refused(run.open("hospital-b", "hospital-a", MESH))
    assert code is CODE.FAILED_PRECONDITION
    assert await run.open("hospital-a", "coordinator", SERVES)


async def test_an_agent_that_is_away_is_said_to_be_at_once(run, sdk):
    await run.agents["coordinator"].cut()
    await until_absent(sdk, "hub")
    code, text = await refused(run.open("hospital-a", "coordinator", SERVES))
    assert code is CODE.UNAVAILABLE
    assert "'hub' is not connected" in text


async def test_500_at_once_from_one_agent_all_reach_the_other(run):
    tickets = await asyncio.gather(
        *(run.open("hospital-a", "coordinator", SERVES) for _ in range(500))
    )
    agent = run.agents["coordinator"]
    await agent.until(lambda: len(agent.offers) == 500)
    assert {offer.ticket.tunnel_id for offer in agent.offers} == {
        ticket.tunnel_id for ticket in tickets
    }


async def test_the_direct_address_of_who_is_reached_stands_in_the_ticket(sdk, channel, connect):
    async def connect_directly(federated_id):
        return await connect(federated_id, direct_address=f"{federated_id}.example.org:7000")

    run = await start_coordinated(sdk, channel, connect_directly)
    ticket = await run.open("hospital-a", "hospital-b", MESH)
    assert ticket.direct_address == "hospital-b.example.org:7000"


class TestAnAddressThatIsTold:
    @pytest.fixture
    def server_options(self):
        return {"relay_address": "relay.example.org:443"}

    async def test_stands_in_the_ticket(self, run):
        ticket = await run.open("hospital-a", "coordinator", SERVES)
        assert ticket.relay_address == "relay.example.org:443"


class TestNoRelay:
    @pytest.fixture
    def server_options(self):
        return {"relay": False}

    async def test_is_said(self, run, server):
        assert server.relay_address == ""
        code, text = await refused(run.open("hospital-a", "coordinator", SERVES))
        assert code is CODE.UNAVAILABLE
        assert "--no-relay" in text


def an_offer():
    return Offer(
        ticket=Ticket(
            tunnel_id=secrets.token_bytes(16),
            secret=secrets.token_bytes(32),
            relay_address="r" * 250 + ":12345",
            direct_address="d" * 250 + ":12345",
        ),
        party_run_id="1" * 32,
        peer_party_run_id="2" * 32,
        peer_federated_id="hospital-a",
        port=1,
    )


def test_an_offer_survives_its_way_between_replicas_and_fits_there():
    offer = an_offer()
    text = offer_to_text("h" * 63, offer)
    assert offer_from_text(text) == ("h" * 63, offer)
    assert len(text.encode()) < 8000


async def test_an_agent_that_does_not_read_is_sent_no_more_offers_than_a_bound():
    session = Session(federated_id="hospital-a", epoch=1)
    for _ in range(sessions.MAX_WAITING_TUNNEL_OFFERS):
        session.offer_tunnel(an_offer())
    with pytest.raises(Unavailable, match="does not keep up"):
        session.offer_tunnel(an_offer())
    assert len((await session.next()).tunnel_offers) == sessions.MAX_WAITING_TUNNEL_OFFERS
    session.offer_tunnel(an_offer())


async def test_a_large_set_that_is_being_sent_does_not_hold_up_an_offer():
    session = Session(federated_id="hospital-a", epoch=1)
    session.offer([], complete=True)
    sending = await session.next()
    assert sending.complete
    offer = an_offer()
    session.offer_tunnel(offer)
    assert session.urgent() == [offer]
    assert session.urgent() == []
