"""What the rest of the agent asks of tunnels; see `host` for the one that has them."""

from collections.abc import Callable
from typing import Protocol

from flow_contract.assignments import WorkloadSpec
from flow_contract.coordination import PeerProgress, Traffic
from party_agent.runtime.port import Workload


class Tunnels(Protocol):
    """Connections of workloads to workloads of other sites.

    `known` says which party runs are held; `changed` is called with one whose counts have grown,
    or whose coordinator was reached or has news, or whose sockets were lost.
    """

    known: Callable[[str], bool]
    changed: Callable[[str], None]

    def is_open(self, party_run_id: str) -> bool:
        """Say whether the party run has sockets."""

    def traffic(self, party_run_id: str) -> tuple[Traffic, ...] | None:
        """Return the counts as last told, None where there are no sockets."""

    def peer_progress(self, party_run_id: str) -> tuple[PeerProgress, ...] | None:
        """Return what a coordinator said last of its parties, None where it says nothing."""

    async def ask_progress(self, party_run_id: str) -> None:
        """Ask the coordinator once more, before it is stopped; takes seconds at most."""

    def has_reached_coordinator(self, spec: WorkloadSpec) -> bool:
        """Say whether the run's coordinator has listened; if not, look for it until `end`."""

    async def open(
        self, spec: WorkloadSpec, workload: Workload, counted: tuple[Traffic, ...]
    ) -> None:
        """Open the sockets of a prepared or running workload, unless they are open.

        `counted` is what was counted before, perhaps by an earlier agent.

        Raises:
            RuntimeRefused: they can't be opened here.
            RuntimeUnavailable: try again later.
        """

    async def end(self, party_run_id: str) -> tuple[Traffic, ...] | None:
        """Open no more connections of the party run; return the counts, None if it had no sockets.

        Waits a little for what is still on its way. May be called twice.
        """

    async def aclose(self) -> None:
        """End all connections; the workloads run on. May be called twice."""


class NoTunnels:
    """An agent whose workloads meet nobody: who wants to is let run without."""

    def __init__(self) -> None:
        self.known: Callable[[str], bool] = lambda _: False
        self.changed: Callable[[str], None] = lambda _: None

    def is_open(self, party_run_id: str) -> bool:  # noqa: ARG002  nobody has
        """Say that there is nothing to open."""
        return True

    def traffic(self, party_run_id: str) -> tuple[Traffic, ...] | None:  # noqa: ARG002  nobody has
        """Return None."""
        return None

    def peer_progress(self, party_run_id: str) -> tuple[PeerProgress, ...] | None:  # noqa: ARG002  nobody has
        """Return None."""
        return None

    async def ask_progress(self, party_run_id: str) -> None:
        """Ask nobody."""

    def has_reached_coordinator(self, spec: WorkloadSpec) -> bool:  # noqa: ARG002  nobody waits
        """Let everybody begin."""
        return True

    async def open(
        self, spec: WorkloadSpec, workload: Workload, counted: tuple[Traffic, ...]
    ) -> None:
        """Open nothing."""

    async def end(self, party_run_id: str) -> tuple[Traffic, ...] | None:  # noqa: ARG002  nobody has
        """Return None."""
        return None

    async def aclose(self) -> None:
        """Do nothing."""
