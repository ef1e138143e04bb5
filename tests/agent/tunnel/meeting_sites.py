"""Two whole agents whose workloads meet: each with its own server's ear, and one relay.

One agent runs the coordinator, the other a party; runtimes are scripted, and the test plays the
workloads with plain sockets.
"""

import asyncio

import grpc

from flow_contract.coordination import Peer, RunRole
from flow_contract.lifecycle import PartyRunState
from flow_contract.tunnels import Offer
from flow_wire import agents_pb2, tunnels_pb2, tunnels_pb2_grpc
from flow_wire.codec.tunnels import encode_offer, encode_ticket
from party_agent.settings import AgentSettings
from tests.agent.fake_server import FakeServer
from tests.agent.fakes import make_assignment
from tests.agent.party import Site

S = PartyRunState
PORT = 8443
PARTIES = ("hospital-a", "hospital-b")


class MeetingServer(FakeServer, tunnels_pb2_grpc.TunnelServiceServicer):
    """Gives tickets of `relay`, and tells `other`, the server of whoever is reached."""

    def __init__(self, relay):
        super().__init__()
        self.relay = relay
        self.other = None
        self.opened = []
        self.is_telling = True

    def serve_also(self, server):
        tunnels_pb2_grpc.add_TunnelServiceServicer_to_server(self, server)

    async def Open(self, request, context):  # noqa: N802  gRPC's name
        await self._note(lambda: self.opened.append(request))
        if self.other is None or not self.other._connections:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the peer's agent is not connected")
        ticket = self.relay.issue()
        if self.is_telling:
            self.other.offer(
                Offer(
                    ticket=ticket,
                    party_run_id=request.peer_party_run_id,
                    peer_party_run_id=request.party_run_id,
                    peer_federated_id=FEDERATED[request.party_run_id],
                    port=request.port,
                )
            )
        return tunnels_pb2.OpenTunnelResponse(ticket=encode_ticket(ticket))

    def offer(self, offer):
        self.say(agents_pb2.ServerMessage(tunnel_offer=encode_offer(offer)))


FEDERATED = {"party": "hospital-a", "coordinator": "hospital-b"}
COORDINATOR = Peer(
    name="coordinator",
    federated_id="hospital-b",
    party_run_id="coordinator",
    rank=2,
    role=RunRole.COORDINATOR,
)
PARTY = Peer(name="party-hospital-a", federated_id="hospital-a", party_run_id="party", rank=0)


def party_assignment(**changes):
    return make_assignment(
        "party",
        **{
            "parties": PARTIES,
            "peers": (COORDINATOR,),
            "coordinator_ports": (PORT,),
            **changes,
        },
    )


def coordinator_assignment(**changes):
    return make_assignment(
        "coordinator",
        **{
            "federated_id": "hospital-b",
            "rank": 2,
            "role": RunRole.COORDINATOR,
            "parties": PARTIES,
            "peers": (PARTY,),
            "coordinator_ports": (PORT,),
            **changes,
        },
    )


class MeetingSite(Site):
    """One site of two."""

    def __init__(self, path, server, party, **settings):
        super().__init__(path, server)
        self.settings = AgentSettings(
            insecure=True,
            server=server.address,
            party=party,
            runtime="memory",
            state_dir=path,
            first_backoff_s=0.01,
            max_backoff_s=0.1,
            **settings,
        )

    @property
    def net(self):
        return self.state.loopback


class Meeting:
    """Both sites, from `start` to `close`; `a` has the party, `b` the coordinator."""

    def __init__(self, path, relay):
        self.path = path
        self.relay = relay

    async def start(self, **settings):
        self.server_a, self.server_b = MeetingServer(self.relay), MeetingServer(self.relay)
        await self.server_a.start()
        await self.server_b.start()
        self.server_a.other, self.server_b.other = self.server_b, self.server_a
        self.a = MeetingSite(self.path / "a", self.server_a, "hospital-a", **settings)
        self.b = MeetingSite(self.path / "b", self.server_b, "hospital-b")
        await self.a.start()
        await self.b.start()
        return self

    def listen(self, taken):
        """Let the coordinator's workload listen; `taken` gets its end of each connection."""

        def take(own):
            own.settimeout(0)
            taken.put_nowait(own)

        self.b.net.listen("coordinator", PORT, take)

    def dial(self):
        own = self.a.net.dial("party", "coordinator", PORT)
        own.settimeout(0)
        return own

    async def running(self, taken):
        """Start both workloads; return when the party's is launched."""
        self.listen(taken)
        self.server_b.assign(coordinator_assignment())
        self.server_a.assign(party_assignment())
        await self.server_a.until_state(S.RUNNING, "party")
        # What asked whether it listens.
        (await taken.get()).close()

    async def close(self):
        for site in (self.a, self.b):
            await site.kill()
        for server in (self.server_a, self.server_b):
            await server.stop()


async def next_of(queue):
    async with asyncio.timeout(60):
        return await queue.get()
