"""Sockets beside a workload that has no sandbox: at addresses of the machine's own loopback.

Nobody else's program is kept from them, and a workload is not kept from others': the addresses
only make names and ports fit. A program has to listen at its own address, not at all of them.
"""

import errno
import socket
from functools import partial

from flow_contract.reasons import Reason
from party_agent.runtime.neighbours import addresses
from party_agent.runtime.neighbours.listening import Listening, Resolve
from party_agent.runtime.neighbours.opened import Opened
from party_agent.runtime.port import Neighbour, RuntimeRefused, RuntimeUnavailable, Workload

_BACKLOG = 1024


class HostSockets(Opened):
    """Those of one agent's plain processes."""

    def host_of(self, party_run_id: str, neighbour: Neighbour) -> str:
        """See `Runtime.host_of`."""
        return addresses.at_host(party_run_id, neighbour.number)

    def open(self, workload: Workload) -> Listening:
        """Open the workload's sockets in the place of those that were open; see `open_at_host`."""
        self.shut(workload.party_run_id)
        return self.keep(workload.party_run_id, open_at_host(workload))


def open_at_host(workload: Workload) -> Listening:
    """Listen at each neighbour's address, on each of its ports.

    Raises:
        RuntimeRefused: these are too many, or somebody else listens there.
        RuntimeUnavailable: this machine can't open them now.
    """
    listeners: dict[socket.socket, Resolve] = {}
    own = addresses.at_host(workload.party_run_id, addresses.itself(workload).number)
    try:
        for neighbour, port in addresses.host_ports(workload):
            address = addresses.at_host(workload.party_run_id, neighbour.number)
            listener = _listener(address, port, neighbour.name)
            listeners[listener] = partial(_named, neighbour.name, port)
        return Listening(listeners, own=(own,), make=_make)
    except BaseException:
        for listener in listeners:
            listener.close()
        raise


def _listener(address: str, port: int, name: str) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)  # noqa: FBT003  the socket's own signature
    except OSError as problem:
        listener.close()
        if problem.errno in (errno.EADDRINUSE, errno.EACCES):
            raise RuntimeRefused(
                Reason.RUNTIME_ERROR,
                f"The site can't listen at {address}:{port} in the place of {name} "
                f"({problem.strerror}): another program listens on port {port} at all addresses, "
                "or the agent may not use such a port. Declare another port, or ask the site.",
            ) from problem
        raise RuntimeUnavailable(
            f"{address}:{port} can't be listened at: {problem.strerror}"
        ) from problem
    return listener


def _named(name: str, port: int, stream: socket.socket) -> tuple[str, int]:  # noqa: ARG001
    return name, port


async def _make() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM)
