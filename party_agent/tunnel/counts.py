"""What a workload and its peers have said to each other, counted where the bytes pass.

Written by the thread of the pumps, read by the agent's: each number by itself only ever grows.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from flow_contract.coordination import Traffic


@dataclass(slots=True)
class Count:
    """One workload with one peer. Bytes are the workloads' own, without frames and TLS."""

    sent_bytes: int = 0
    received_bytes: int = 0
    connections: int = 0


@dataclass(slots=True)
class Counts:
    """One workload with each of its peers, by name; goes on from what was counted before."""

    by_peer: dict[str, Count] = field(default_factory=dict)

    @classmethod
    def after(cls, known: Iterable[Traffic]) -> "Counts":
        """Return counts that go on from these."""
        return cls(
            {
                each.peer: Count(each.sent_bytes, each.received_bytes, each.connections)
                for each in known
            }
        )

    def of(self, peer: str) -> Count:
        """Return the count for this peer."""
        return self.by_peer.setdefault(peer, Count())

    def read(self) -> tuple[Traffic, ...]:
        """Return how it stands, by the peers' names."""
        return tuple(
            Traffic(
                peer=peer,
                sent_bytes=count.sent_bytes,
                received_bytes=count.received_bytes,
                connections=count.connections,
            )
            for peer, count in sorted(dict(self.by_peer).items())
        )
