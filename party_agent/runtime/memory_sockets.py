"""What neighbours are to workloads that are only scripted: pairs of sockets in one process.

A test or a simulation plays the workload: it dials with `Loopback.dial`, and listens with
`Loopback.listen`; the agent has the other ends.
"""

import socket
from collections.abc import Callable

from party_agent.runtime.neighbours.arrivals import Arrivals
from party_agent.runtime.port import Dialled, Workload


class Loopback:
    """The networks of all scripted workloads of one site."""

    def __init__(self) -> None:
        self._open: dict[str, MemorySockets] = {}
        self._listening: dict[tuple[str, int], Callable[[socket.socket], None]] = {}

    def dial(self, party_run_id: str, neighbour: str, port: int) -> socket.socket:
        """Return the workload's end of a new connection to a neighbour.

        Raises:
            ConnectionRefusedError: the port is not declared, or its agent has no sockets open.
        """
        opened = self._open.get(party_run_id)
        if opened is None or not opened.declares(neighbour, port):
            raise ConnectionRefusedError(f"{neighbour}:{port}")
        own, agents = _pair()
        if not opened.arrivals.put(Dialled(stream=agents, neighbour=neighbour, port=port)):
            own.close()
            agents.close()
            raise ConnectionRefusedError(f"{neighbour}:{port}")
        return own

    def listen(
        self, party_run_id: str, port: int, accepted: Callable[[socket.socket], None]
    ) -> None:
        """Let the workload listen: `accepted` gets its end of each connection."""
        self._listening[party_run_id, port] = accepted

    def reach(self, party_run_id: str, port: int) -> socket.socket:
        """Return the agent's end of a new connection to the workload.

        Raises:
            ConnectionRefusedError: it does not listen there.
        """
        accepted = self._listening.get((party_run_id, port))
        if accepted is None:
            raise ConnectionRefusedError(f"nobody listens on port {port}")
        own, agents = _pair()
        accepted(own)
        return agents

    def open(self, workload: Workload) -> "MemorySockets":
        """Return the workload's sockets in the place of those that were open."""
        self._close(workload.party_run_id)
        opened = MemorySockets(self, workload)
        self._open[workload.party_run_id] = opened
        return opened

    def forget(self, party_run_id: str) -> None:
        """Close what there is of a workload's network."""
        self._close(party_run_id)
        for key in [key for key in self._listening if key[0] == party_run_id]:
            del self._listening[key]

    def _close(self, party_run_id: str) -> None:
        opened = self._open.pop(party_run_id, None)
        if opened is not None:
            opened.close()


class MemorySockets:
    """See `Sockets`."""

    def __init__(self, loopback: Loopback, workload: Workload) -> None:
        self._loopback = loopback
        self._workload = workload
        self.arrivals: Arrivals[Dialled] = Arrivals()

    def declares(self, neighbour: str, port: int) -> bool:
        """Say whether the workload reaches the agent there, and not itself."""
        workload = self._workload
        return any(
            each.name == neighbour and any(port in ports for ports in each.ports)
            for each in workload.neighbours
            if each.name != workload.own_name
        )

    async def dialled(self) -> Dialled:
        """See `Sockets.dialled`."""
        return await self.arrivals.next()

    async def dial(self, port: int) -> socket.socket:
        """See `Sockets.dial`."""
        return self._loopback.reach(self._workload.party_run_id, port)

    async def aclose(self) -> None:
        """See `Sockets.aclose`."""
        self.close()

    def close(self) -> None:
        """Take no further connection; those that nobody took break."""
        for left in self.arrivals.close():
            left.stream.close()


def _pair() -> tuple[socket.socket, socket.socket]:
    own, agents = socket.socketpair()
    agents.setblocking(False)  # noqa: FBT003  the socket's own signature
    return own, agents
