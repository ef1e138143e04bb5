"""After a server's kill -9, an agent's kill -9, and a partition: until all is as it should be."""

import contextlib
from pathlib import Path

from bench import recovery_agent, recovery_partition, recovery_server
from bench.processes import Server
from bench.table import Row


def measure(server: Server, folder: Path, *, partition_s: float = 60) -> list[Row]:
    """Return the rows on recovery."""
    with contextlib.ExitStack() as stack:
        rows = recovery_agent.measure(server, folder)
        rows += recovery_partition.measure(server, folder, partition_s)
        # The last one: it takes the server's place.
        rows += recovery_server.measure(stack, server, folder)
    return rows
