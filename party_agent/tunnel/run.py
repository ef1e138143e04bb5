"""One party run as far as tunnels go: its sockets, what it has counted, and how fast it may be."""

from collections.abc import Callable
from dataclasses import dataclass

from flow_contract.assignments import WorkloadSpec
from flow_contract.coordination import Peer, Traffic
from flow_contract.tunnels import Ticket
from party_agent.runtime.port import Sockets
from party_agent.tunnel.counts import Count, Counts
from party_agent.tunnel.ends import Line
from party_agent.tunnel.rates import Bucket, Valve

Rate = Callable[[], int | None]
Ways = tuple[Bucket, Bucket]


@dataclass(eq=False, kw_only=True)
class Run:
    """`told` are the counts as last told; `connections` are open, or about to be.

    `ways` is how fast what leaves and what comes may be, the site's and this run's.
    """

    spec: WorkloadSpec
    sockets: Sockets
    counts: Counts
    ways: tuple[Valve, Valve]
    told: tuple[Traffic, ...]
    connections: int = 0

    @property
    def party_run_id(self) -> str:
        """Whose sockets they are."""
        return self.spec.party_run_id

    def line(self, peer: Peer, ticket: Ticket) -> Line:
        """Return what a connection with the peer is, by its ticket."""
        return line_of(self.spec, peer, ticket, self.counts.of(peer.name), self.ways)


def line_of(
    spec: WorkloadSpec, peer: Peer, ticket: Ticket, count: Count, ways: tuple[Valve, Valve]
) -> Line:
    """Return what a connection with the peer is."""
    return Line(
        party_run_id=spec.party_run_id,
        ticket=ticket,
        federated_id=peer.federated_id,
        count=count,
        valves=ways,
    )


def both_ways(rate: Rate) -> Ways:
    """Return a bucket for what leaves and one for what comes."""
    return Bucket(rate), Bucket(rate)


def joined_ways(site: Ways, own: Ways) -> tuple[Valve, Valve]:
    """Return what has to let bytes pass: the site's buckets and the run's own."""
    return Valve(site[0], own[0]), Valve(site[1], own[1])
