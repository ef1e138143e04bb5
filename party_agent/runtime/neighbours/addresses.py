"""Pure: at which address a workload reaches whom, and what the kernel has to do for it."""

import hashlib
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address

from flow_contract.coordination import MAX_PORT, PortRange
from flow_contract.reasons import Reason
from party_agent.runtime.neighbours.nftables import Redirect
from party_agent.runtime.port import Neighbour, RuntimeRefused, Workload

MAX_NUMBER = 2**16 - 1

# Inside a sandbox: nobody's number.
LISTENER_ADDRESS = "127.255.255.254"
_LISTENER_CHOICES = 64

# A machine's own loopback: what a descriptor and a bind each cost.
MAX_PORTS_WITHOUT_SANDBOX = 64
MAX_LISTENERS = 512

_SHARED_FIRST = 64
_SHARED_COUNT = 128


def in_sandbox(number: int) -> str:
    """Return the address of the run's member of this number in every sandbox of the run.

    Raises:
        RuntimeRefused: a run has no room for so many.
    """
    if not 0 < number <= MAX_NUMBER:
        raise RuntimeRefused(
            Reason.RUNTIME_ERROR,
            f"The run has a member of number {number}; a site knows addresses for {MAX_NUMBER}.",
        )
    return f"127.1.{number >> 8}.{number & 0xFF}"


def at_host(party_run_id: str, number: int) -> str:
    """Return the loopback address of the member of this number for one party run of this machine.

    Another party run has others, whoever made its id: nothing of it need be kept.
    """
    drawn = hashlib.sha256(f"{party_run_id} {number >> 8}".encode()).digest()
    # Out of the way of 127.0.0.0/16 and 127.1.0.0/16, where people put things.
    return f"127.{_SHARED_FIRST + drawn[0] % _SHARED_COUNT}.{drawn[1]}.{number & 0xFF}"


def others(workload: Workload) -> tuple[Neighbour, ...]:
    """Return whom it may dial but itself, by number."""
    found = [each for each in workload.neighbours if each.name != workload.own_name]
    return tuple(sorted(found, key=lambda each: each.number))


def itself(workload: Workload) -> Neighbour:
    """Return the workload as its own neighbour.

    Raises:
        RuntimeRefused: it is not among them.
    """
    for each in workload.neighbours:
        if each.name == workload.own_name:
            return each
    raise RuntimeRefused(
        Reason.RUNTIME_ERROR, f"The workload {workload.own_name!r} is not one of its own run."
    )


def redirects(workload: Workload) -> list[Redirect]:
    """Return what has to reach the agent; a thousand parties of equal ports are one entry."""
    found: dict[tuple[PortRange, ...], list[tuple[int, int]]] = {}
    for each in others(workload):
        place = _as_number(in_sandbox(each.number))
        _extend(found.setdefault(each.ports, []), place)
    return [
        Redirect(first, last, ports.first, ports.last)
        for same, places in found.items()
        for first, last in places
        for ports in same
    ]


def fences(workload: Workload) -> list[tuple[int, int]]:
    """Return the addresses, first to last, at which nothing else is reached."""
    found: list[tuple[int, int]] = []
    for each in others(workload):
        _extend(found, _as_number(in_sandbox(each.number)))
    return found


def listener_ports(workload: Workload) -> list[int]:
    """Return at which ports the agent may listen inside: none that the run has a use for."""
    declared = [ports for each in workload.neighbours for ports in each.ports]
    free = (
        port for port in range(MAX_PORT, 1024, -1) if not any(port in each for each in declared)
    )
    return [port for port, _ in zip(free, range(_LISTENER_CHOICES), strict=False)]


def host_ports(workload: Workload) -> list[tuple[Neighbour, int]]:
    """Return where to listen without a sandbox.

    Raises:
        RuntimeRefused: these are too many.
    """
    ports = {port for each in others(workload) for port in _span(each)}
    declared = sum(span.last - span.first + 1 for each in _distinct(workload) for span in each)
    if declared > MAX_PORTS_WITHOUT_SANDBOX:
        raise RuntimeRefused(
            Reason.RUNTIME_ERROR,
            f"The template declares {declared} ports, and a site that runs plain processes has to "
            f"listen on each of them: it takes {MAX_PORTS_WITHOUT_SANDBOX} at most. Declare fewer, "
            "or run at sites with a container engine.",
        )
    found = [(each, port) for each in others(workload) for port in sorted(_span(each))]
    if len(found) > MAX_LISTENERS:
        raise RuntimeRefused(
            Reason.RUNTIME_ERROR,
            f"{len(ports)} ports at each of {len(others(workload))} members are {len(found)} "
            f"sockets, and a site that runs plain processes opens {MAX_LISTENERS} at most. "
            "Declare fewer ports, or run at sites with a container engine.",
        )
    return found


def _distinct(workload: Workload) -> Iterator[tuple[PortRange, ...]]:
    yield from {each.ports for each in others(workload)}


def _span(neighbour: Neighbour) -> set[int]:
    return {port for each in neighbour.ports for port in range(each.first, each.last + 1)}


def _extend(ranges: list[tuple[int, int]], place: int) -> None:
    if ranges and ranges[-1][1] + 1 == place:
        ranges[-1] = (ranges[-1][0], place)
    else:
        ranges.append((place, place))


def _as_number(address: str) -> int:
    return int(IPv4Address(address))


def original(answer: bytes) -> tuple[str, int]:
    """Return what SO_ORIGINAL_DST says: whither a connection was meant to go."""
    (port,) = struct.unpack_from("!H", answer, 2)
    return str(IPv4Address(answer[4:8])), port
