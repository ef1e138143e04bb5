"""What tests of neighbours share: a run of two parties and a coordinator, and who plays them."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Protocol

from party_agent.runtime.port import Dialled, Neighbour, Runtime, Sockets, Workload
from tests.runtime.harness import DEADLINE_S
from tests.runtime.puppets import Player, neighbour
from tests.runtime.suite import ignore

COORDINATOR = neighbour("coordinator", 1, 50_051)
OTHER = neighbour("party-b", 3, 29_500, (40_000, 40_003))
OWN = neighbour("party-a", 2, 29_500, (40_000, 40_003))


class Neighbourly(Protocol):
    """What a harness must offer beside `Harness`."""

    # Whether its streams are TCP, and its workloads programs.
    has_tcp: bool

    def new_runtime(self) -> Runtime: ...

    def player_workload(self, own: Neighbour, *others: Neighbour) -> Workload: ...

    def playing(self, workload: Workload) -> Any:
        """An async context whose value returns the `Player` once the workload runs."""

    async def leftovers(self, party_run_id: str) -> list[str]: ...


@asynccontextmanager
async def playing(
    harness: Neighbourly, runtime: Runtime, own: Neighbour = OWN, *others: Neighbour
) -> AsyncIterator[tuple[Workload, Sockets, Any]]:
    """A workload that runs, its sockets, and who plays it."""
    workload = harness.player_workload(own, *(others or (COORDINATOR, OTHER)))
    async with AsyncExitStack() as stack:
        called = await stack.enter_async_context(harness.playing(workload))
        await runtime.prepare(workload, ignore)
        sockets = await runtime.sockets(workload)
        stack.push_async_callback(sockets.aclose)
        await runtime.launch(workload)
        yield workload, sockets, await called()


async def next_dialled(sockets: Sockets) -> Dialled:
    async with asyncio.timeout(DEADLINE_S):
        return await sockets.dialled()


async def pair(
    player: Player, sockets: Sockets, host: str, port: int
) -> tuple[socket.socket, Dialled]:
    """Return the workload's end, and the agent's, of a connection to a neighbour."""
    stream, dialled = await asyncio.gather(player.connect(host, port), next_dialled(sockets))
    return stream, dialled
