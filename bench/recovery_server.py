"""A server's kill -9 with a thousand agents, beside bare streams that dial again at once."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from bench import proc
from bench.processes import BenchError, Child, Server, child, start_server
from bench.table import Row

AGENTS = 1_000
# As users get them: the back-off is what is measured.
FIRST_BACKOFF_S, MAX_BACKOFF_S = 1.0, 60.0
POLL_S = 0.1
DEADLINE_S = 180.0
PREFIX = "recovery"


@dataclass(frozen=True, kw_only=True)
class Return:
    """Seconds from the kill until somebody listens again, and until all are back."""

    listening_s: float
    all_s: float
    peak_per_s: int


def measure(stack: contextlib.ExitStack, server: Server, folder: Path) -> list[Row]:
    """Return the rows; the server that was killed has a successor in `stack`."""
    arguments = ["-m", "bench.sites", server.address, PREFIX, str(AGENTS)]
    arguments += [str(FIRST_BACKOFF_S), str(MAX_BACKOFF_S)]
    with contextlib.ExitStack() as soon:
        child(soon, "sites", arguments, folder).hear()
        ours = _server_return(stack, server, folder)
    bare = _bare_return(stack, folder)
    ours_served_s, bare_served_s = (each.all_s - each.listening_s for each in (ours, bare))
    return [
        Row(
            measure=f"server's kill -9 and start, {AGENTS} agents: all served again",
            value=f"{ours.all_s:.1f} s, {ours_served_s:.1f} s of them after the server was ready",
            reference=f"bare streams, dialling at once: {bare.all_s:.1f} s, "
            f"{bare_served_s:.1f} s of them after the server was ready",
            ratio=ours_served_s / bare_served_s,
        ),
        Row(
            measure="the same: peak of connections accepted within one second",
            value=f"{ours.peak_per_s}",
            reference=f"bare streams, dialling at once: {bare.peak_per_s}",
            ratio=ours.peak_per_s / bare.peak_per_s,
        ),
    ]


def _server_return(stack: contextlib.ExitStack, server: Server, folder: Path) -> Return:
    owner = asyncio.run(_owners(server))
    gone = proc.peers(server.port)
    began_s = time.monotonic()
    server.child.kill()
    start_server(stack, folder, port=server.port)
    listening_s = time.monotonic() - began_s

    def count() -> int:
        return asyncio.run(_served(server, owner))

    return _watch(count, server.port, gone, began_s, listening_s)


def _bare_return(stack: contextlib.ExitStack, folder: Path) -> Return:
    bare = child(stack, "bare", ["-m", "bench.bare"], folder)
    address = str(bare.hear()["address"])
    port = int(address.rpartition(":")[2])
    clients = ["-m", "bench.bare_clients", address, str(AGENTS)]
    child(stack, "bare-clients", clients, folder).hear()
    gone = proc.peers(port)
    began_s = time.monotonic()
    bare.kill()
    again: Child = child(stack, "bare", ["-m", "bench.bare", str(port)], folder)
    again.hear()
    listening_s = time.monotonic() - began_s

    def count() -> int:
        return int(again.ask({"connected": True})["streams"])

    return _watch(count, port, gone, began_s, listening_s)


def _watch(
    count: Callable[[], int], port: int, gone: set[str], began_s: float, listening_s: float
) -> Return:
    """Look until `count` says that all are back, and when which connection came."""
    seen = set(gone)
    came: list[float] = []
    while True:
        now_s = time.monotonic()
        new = proc.peers(port) - seen
        seen |= new
        came += [now_s] * len(new)
        if count() >= AGENTS:
            return Return(
                listening_s=listening_s,
                all_s=time.monotonic() - began_s,
                peak_per_s=max(
                    sum(first <= moment < first + 1 for moment in came) for first in set(came)
                ),
            )
        if now_s > began_s + DEADLINE_S:
            raise BenchError(f"not all were back after {DEADLINE_S:.0f} s: {count()}")
        time.sleep(POLL_S)


async def _owners(server: Server) -> list[str]:
    database = await asyncpg.connect(server.database_url)
    rows = await database.fetch("SELECT DISTINCT owner_id FROM parties WHERE owner_id IS NOT NULL")
    await database.close()
    return [row[0] for row in rows]


async def _served(server: Server, before: list[str]) -> int:
    """Return how many parties are connected to another process than those before."""
    database = await asyncpg.connect(server.database_url)
    count: int = await database.fetchval(
        "SELECT count(*) FROM parties WHERE federated_id LIKE $1 AND owner_id <> ALL($2::text[])",
        f"{PREFIX}-%",
        before,
    )
    await database.close()
    return count
