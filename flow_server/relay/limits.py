"""What one relay holds at most, and how long it waits for whom."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RelayLimits:
    """Bounds of one relay.

    `strangers` have not proven anything yet, `tickets` were issued and did not lead to a tunnel
    yet, `tunnels` are joined. One address may be half of the strangers, and one party run have
    half of the tickets and tunnels, so that nobody alone shuts all others out.
    """

    strangers: int = 4096
    tickets: int = 20_000
    tunnels: int = 4096
    # Of a ticket of which no side has come.
    ticket_s: float = 30
    # From a connection to its proof.
    handshake_s: float = 5
    # From one side's proof to the other's.
    pairing_s: float = 10
    # Of a tunnel in which nothing moves, either way.
    idle_s: float = 3600
