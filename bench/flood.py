"""Stops of one party while three others flood their logs, beside stops on an idle server."""

import contextlib
import time
from pathlib import Path

from bench import proc
from bench.figures import percentile
from bench.flows import data_of, make_task, stop
from bench.processes import Server, child, fedflow
from bench.table import Row
from flow_server_sdk import FlowServerSdk

FLOODERS = 3
# In turns, so that what else the machine does falls on both.
BLOCKS, STOPS = 4, 50
GOAL = 3.0
PREFIX = "flood-stops"
# Without end, each as fast as its agent takes it.
FLOOD = ("sh", "-c", "yes a line of a log that nobody will ever read to its end")


def measure(server: Server, folder: Path) -> list[Row]:
    """Return the row on stops under a flood."""
    idle: list[float] = []
    flooded: list[float] = []
    with contextlib.ExitStack() as stack:
        sites = child(stack, "sites", ["-m", "bench.sites", server.address, PREFIX, "1"], folder)
        sites.hear()
        parties = [f"flood-{number}" for number in range(FLOODERS)]
        for party in parties:
            _flooder(stack, server, folder, party)
        sdk = stack.enter_context(FlowServerSdk(server.host, server.port))
        flood_id = make_task(sdk, image="any", command=FLOOD, parties=parties)
        task_id = make_task(sdk, image="simulated", command=["run"], parties=[f"{PREFIX}-0000"])
        _stops(sdk, task_id)
        for _ in range(BLOCKS):
            proc.wait_until_quiet()
            idle += _stops(sdk, task_id)
            data_of(sdk.task.start(flood_id))
            # The flood has begun when each party has said its first line.
            for party in parties:
                next(iter(sdk.task.logs(flood_id, party=party, follow=True)))
            flooded += _stops(sdk, task_id)
            stop(sdk, flood_id)
    return [
        Row(
            measure=f"stop() until seen, p{percent}, while {FLOODERS} parties flood their logs",
            value=f"{percentile(flooded, percent) * 1e3:.1f} ms",
            reference=f"idle server: {percentile(idle, percent) * 1e3:.1f} ms",
            ratio=percentile(flooded, percent) / percentile(idle, percent),
            goal=goal,
        )
        for percent, goal in ((50, None), (99, GOAL))
    ]


def _stops(sdk: FlowServerSdk, task_id: str) -> list[float]:
    """Return the seconds from each stop to the moment when it is seen to have come."""
    took_s = []
    for _ in range(STOPS):
        data_of(sdk.task.start(task_id))
        began_s = time.monotonic()
        stop(sdk, task_id)
        took_s.append(time.monotonic() - began_s)
    return took_s


def _flooder(stack: contextlib.ExitStack, server: Server, folder: Path, party: str) -> None:
    ready = folder / f"{party}.json"
    arguments = [*fedflow(), "agent", "--insecure", "--server", server.address, "--party", party]
    arguments += ["--runtime", "process", "--on-exit", "stop"]
    arguments += ["--state-dir", str(folder / party), "--ready-file", str(ready)]
    child(stack, party, arguments, folder).ready(ready)
