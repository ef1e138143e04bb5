"""One start over up to a thousand agents, beside bare messages over as many streams."""

import contextlib
import itertools
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench import proc
from bench.figures import median, spread_ms
from bench.flows import data_of, make_task, stop
from bench.processes import Child, Server, child
from bench.table import Row
from flow_contract.assignments import Assignment, WorkloadSpec
from flow_contract.lifecycle import Desired
from flow_server_sdk import FlowServerSdk
from flow_wire.codec.assignments import encode_assignment

AGENTS = 1_000
SIZES = (1, 10, 100, 1_000)
ROUNDS = 5
PREFIX = "fanout"
SMALL_BYTES = 100
GOAL = 2.0
STEPS = ("accepted", "prepared", "running")


@dataclass(kw_only=True)
class Samples:
    """Seconds of one size, one entry per round."""

    steps: dict[str, list[float]] = field(default_factory=lambda: {step: [] for step in STEPS})
    small: list[float] = field(default_factory=list)
    # Until accepted by all: of the server, its PostgreSQL and all agents together.
    cpu: list[list[float]] = field(default_factory=list)
    same_size: list[float] = field(default_factory=list)


def measure(server: Server, folder: Path) -> list[Row]:
    """Return the rows on fan-out."""
    with contextlib.ExitStack() as stack:
        bare = child(stack, "bare", ["-m", "bench.bare"], folder)
        address = bare.hear()["address"]
        clients = child(
            stack, "bare-clients", ["-m", "bench.bare_clients", address, str(AGENTS)], folder
        )
        clients.hear()
        sites = child(
            stack, "sites", ["-m", "bench.sites", server.address, PREFIX, str(AGENTS)], folder
        )
        sites.hear()
        sdk = stack.enter_context(FlowServerSdk(server.host, server.port))
        tasks = {
            size: make_task(
                sdk, image="simulated", command=["run"], parties=[_party(n) for n in range(size)]
            )
            for size in SIZES
        }
        samples = {size: Samples() for size in SIZES}
        for number in range(ROUNDS + 1):
            for size in SIZES:
                # The first round warms caches and connections up; it does not count.
                into = samples[size] if number else Samples()
                _start_once(sdk, server, sites, tasks[size], into)
                _bare_once(bare, size, into)
    return _rows(samples)


def _start_once(
    sdk: FlowServerSdk, server: Server, sites: Child, task_id: str, into: Samples
) -> None:
    proc.wait_until_quiet()
    used_s = _cpu(server, sites)
    began_s = time.monotonic()
    data_of(sdk.task.start(task_id))
    for _ in STEPS:
        told = sites.hear()
        into.steps[told["step"]].append(told["at_s"] - began_s)
        if told["step"] == "accepted":
            into.cpu.append(
                [now - then for now, then in zip(_cpu(server, sites), used_s, strict=True)]
            )
    stop(sdk, task_id)


def _bare_once(bare: Child, streams: int, into: Samples) -> None:
    proc.wait_until_quiet()
    for size_bytes, samples in (
        (SMALL_BYTES, into.small),
        (_assignment_bytes(streams), into.same_size),
    ):
        answer = bare.ask({"streams": streams, "bytes": size_bytes})
        samples.append(answer["seconds"])


def _cpu(server: Server, sites: Child) -> list[float]:
    """Return the CPU seconds that server, PostgreSQL and agents have used so far."""
    postgres = proc.descendants(server.child.pid)
    return [proc.cpu_s(pids) for pids in ([server.child.pid], postgres, [sites.pid])]


def _rows(samples: dict[int, Samples]) -> list[Row]:
    largest = samples[AGENTS]
    accepted = median(largest.steps["accepted"])
    rows = [
        Row(
            measure=f"one start, {AGENTS} agents: accepted by all",
            value=spread_ms(largest.steps["accepted"]),
            reference=f"bare echo of {SMALL_BYTES} bytes: {spread_ms(largest.small)}",
            ratio=accepted / median(largest.small),
            goal=GOAL,
        ),
        Row(
            measure="the same",
            value=spread_ms(largest.steps["accepted"]),
            reference=f"bare echo of an assignment's {_assignment_bytes(AGENTS)} bytes: "
            f"{spread_ms(largest.same_size)}",
            ratio=accepted / median(largest.same_size),
        ),
    ]
    of_server, of_postgres, of_sites = (
        f"{median(values) * 1e3:.0f} ms" for values in zip(*largest.cpu, strict=True)
    )
    rows.append(
        Row(
            measure="the same: CPU until then",
            value=f"server {of_server}, its PostgreSQL {of_postgres}, all agents {of_sites}",
        )
    )
    for step, name in (("prepared", "all prepared"), ("running", "all running")):
        rows.append(
            Row(
                measure=f"one start, {AGENTS} agents: {name}",
                value=spread_ms(largest.steps[step]),
                reference=f"bare echo: {spread_ms(largest.small)}",
                ratio=median(largest.steps[step]) / median(largest.small),
            )
        )
    for fewer, more in itertools.pairwise(SIZES):
        before = median(samples[fewer].steps["running"])
        after = median(samples[more].steps["running"])
        rows.append(
            Row(
                measure=f"start to all running, {more} parties",
                value=spread_ms(samples[more].steps["running"]),
                reference=f"{fewer} parties: {spread_ms(samples[fewer].steps['running'])}",
                ratio=after / before,
                goal=more / fewer,
            )
        )
    return rows


def _party(number: int) -> str:
    return f"{PREFIX}-{number:04}"


def _assignment_bytes(parties: int) -> int:
    spec = WorkloadSpec(
        party_run_id="0" * 32,
        run_id="0" * 32,
        task_id="0" * 32,
        order=1,
        federated_id=_party(0),
        rank=0,
        parties=tuple(_party(number) for number in range(parties)),
        image_url="simulated",
        command=("run",),
    )
    assignment = Assignment(spec=spec, desired=Desired.PREPARED)
    return len(encode_assignment(assignment).SerializeToString())
