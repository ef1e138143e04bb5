"""`make bench`: measure, print one table, keep it on a page."""

import argparse
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench import (
    cli,
    fanout,
    fedavg,
    flood,
    flower,
    idle,
    latency,
    logs,
    outputs,
    page,
    points,
    recovery,
    start,
    table,
    throughput,
    tunnel,
)
from bench.processes import BenchError, Server, flow_server, scratch_folder

PARTS: dict[str, Callable[[Server, Path], list[table.Row]]] = {
    "start": start.measure,
    "fanout": fanout.measure,
    "idle": idle.measure,
    "latency": latency.measure,
    "logs": logs.measure,
    "flood": flood.measure,
    "points": points.measure,
    "outputs": outputs.measure,
    "recovery": recovery.measure,
    "throughput": throughput.measure,
    "cli": cli.measure,
    "tunnel": tunnel.measure,
    "fedavg": fedavg.measure,
    "flower": flower.measure,
}


def main() -> int:
    """Measure the parts asked for. Returns the exit status; a missed goal is no failure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=[*PARTS], action="append", help="measure this part")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table into this page")
    parser.add_argument(
        "--partition-s", type=float, metavar="SECONDS", default=60, help="of recovery: how long"
    )
    options = parser.parse_args()
    PARTS["recovery"] = partial(recovery.measure, partition_s=options.partition_s)
    names = options.only or list(PARTS)
    rows: list[table.Row] = []
    began_s = time.monotonic()
    # What others did on the machine before the bench itself made it busy.
    load = os.getloadavg()[0]
    try:
        for name in names:
            print(f"measuring {name} …", file=sys.stderr, flush=True)
            # A database and a server of its own for each part: none inherits another's load.
            with scratch_folder() as folder, flow_server(folder) as server:
                rows += PARTS[name](server, folder)
                about = page.machine(server, load=load)
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    print(table.plain(rows))
    print(f"\n{about}\nmeasured in {time.monotonic() - began_s:.0f} s")
    if options.write is not None:
        table.write(options.write, f"{about}\n\n{table.markdown(rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
