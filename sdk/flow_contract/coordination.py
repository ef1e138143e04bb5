"""How the parties of a run find each other: roles, ports, peers, and what flows between them."""

from dataclasses import dataclass
from enum import StrEnum

COORDINATOR_NAME = "coordinator"
MAX_PORT = 65_535


class RunRole(StrEnum):
    """What a party run is in its run: one of the parties, or the one that they talk to."""

    PARTY = "party"
    COORDINATOR = "coordinator"


class Ends(StrEnum):
    """When a coordinator ends: it is stopped once all parties have ended, or ends by itself."""

    AFTER_PARTIES = "after_parties"
    BY_ITSELF = "by_itself"


class Framework(StrEnum):
    """Whose arguments are appended to the commands, and whose status is read; NONE: nobody's."""

    NONE = "none"
    IFLEARNER = "iflearner"


@dataclass(frozen=True, kw_only=True, order=True)
class PortRange:
    """TCP ports `first` to `last`, both included."""

    first: int
    last: int

    def __contains__(self, port: int) -> bool:
        return self.first <= port <= self.last


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Another member of the run: whose container `name` reaches, and its place in the run.

    `name` is `coordinator` or `party-<federated_id>`. `rank` is that of the party run; a
    coordinator's is the number of parties.
    """

    name: str
    federated_id: str
    party_run_id: str
    rank: int
    role: RunRole = RunRole.PARTY


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What a workload and one peer have said to each other so far, without any overhead.

    Counted by the workload's own agent: `sent_bytes` went to the peer. `connections` were
    opened by either.
    """

    peer: str
    sent_bytes: int = 0
    received_bytes: int = 0
    connections: int = 0


@dataclass(frozen=True, kw_only=True)
class PeerProgress:
    """How far a coordinator says that a party is."""

    federated_id: str
    ready: bool = False
    complete: bool = False
    current_epoch: int | None = None
    total_epoch: int | None = None


def party_name(federated_id: str) -> str:
    """Return the host name by which other members of a run reach this party's container."""
    return f"party-{federated_id}"
