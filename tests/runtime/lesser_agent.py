"""An agent that can't enter its containers' networks: says what it reached all the same.

Arguments: a directory of its own, and the numbers of a user and of the engine's group, to be
instead of root. Prints one word for each way in which a connection was made.
"""

import asyncio
import os
import sys
from pathlib import Path

import docker

from party_agent.runtime.docker_engine.runtime import DockerRuntime
from party_agent.runtime.neighbours.ways import Way
from party_agent.runtime.port import RuntimeUnavailable, Sockets, Workload
from tests.runtime.puppets import said, say
from tests.runtime.socket_play import pair, playing
from tests.runtime.test_docker_sockets import NeighbourlyContainers


class Patient(DockerRuntime):
    """Tries again, as the agent does, what can't be done now."""

    async def sockets(self, workload: Workload) -> Sockets:
        try:
            return await super().sockets(workload)
        except RuntimeUnavailable:
            print("unavailable")  # noqa: T201 - read by the test
            return await super().sockets(workload)


async def main(folder: Path) -> None:
    client = docker.APIClient(version="auto")
    harness = NeighbourlyContainers(folder, client, Way.AUTO)
    runtime = Patient(agent_key=harness.agent_key, pool_size=0, ways=harness.ways())
    await runtime.open()
    try:
        async with playing(harness, runtime) as (_, sockets, player):
            stream, dialled = await pair(player, sockets, "coordinator", 50_051)
            with dialled.stream as agents:
                await say(stream, b"word")
                assert await said(agents, 4) == b"word"
            print("dialled")  # noqa: T201 - read by the test
            accept = await player.listen("party-a", 29_500)
            _, agents = await asyncio.gather(accept(), sockets.dial(29_500))
            agents.close()
            print("dials")  # noqa: T201 - read by the test
    finally:
        await runtime.aclose()
        await harness.aclose()
        client.close()
    print(await harness.leftovers(""))  # noqa: T201 - read by the test


def become(user: int, group: int) -> None:
    """Do so only now: the interpreter's own files may be root's alone."""
    os.setgroups([group])
    os.setgid(user)
    os.setuid(user)


if __name__ == "__main__":
    if sys.argv[2:]:
        become(*map(int, sys.argv[2:]))
    asyncio.run(main(Path(sys.argv[1])))
