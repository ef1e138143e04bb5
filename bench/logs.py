"""Log lines from a workload's stdout to a client that follows, beside a bare relay of bytes.

Containers also beside the engine alone: what `docker run` hands to whoever is attached.
"""

import contextlib
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import docker
import grpc
from docker.errors import DockerException

from bench import proc
from bench.figures import median, spread
from bench.flows import data_of, make_task
from bench.processes import BenchError, Child, Server, child, fedflow
from bench.start import IMAGE
from bench.table import Row
from flow_server_sdk import FlowServerSdk

LINE_BYTES = 100
LINES = 500_000
ROUNDS = 5
MESSAGE_BYTES = 64 * 1024
MESSAGES = LINES * LINE_BYTES // MESSAGE_BYTES
GOAL = 0.7
# `yes` is as fast a writer as there is.
COMMAND = ("sh", "-c", f"yes {'x' * (LINE_BYTES - 1)} | head -n {LINES}")
_MIB = 1024**2
_READ_BYTES = 64 * 1024


@dataclass(kw_only=True)
class Followed:
    """One runtime's rounds: lines per second, and the CPU seconds of who worked for them."""

    agent: Child
    task_id: str
    rates: list[float] = field(default_factory=list)
    cpu: list[list[float]] = field(default_factory=list)


def measure(server: Server, folder: Path) -> list[Row]:
    """Return the rows on logs; without an engine those of plain processes."""
    relayed: list[float] = []
    attached: list[float] = []
    with contextlib.ExitStack() as stack:
        bare = child(stack, "bare", ["-m", "bench.bare"], folder)
        address = str(bare.hear()["address"])
        taker = stack.enter_context(_Taker(address))
        arguments = ["-m", "bench.bare_flood", address, str(MESSAGE_BYTES)]
        flood = child(stack, "flood", arguments, folder)
        flood.hear()
        sdk = stack.enter_context(FlowServerSdk(server.host, server.port))
        ways = {
            runtime: _way(stack, sdk, server, folder, runtime)
            for runtime in ("process", *(["docker"] if _has_engine() else []))
        }
        for number in range(ROUNDS + 1):
            # The first round warms caches and connections up; it does not count.
            counts = number > 0
            proc.wait_until_quiet()
            relay = _relay(flood, taker)
            relayed += [relay] if counts else []
            for way in ways.values():
                proc.wait_until_quiet()
                before = _cpu(server, way.agent)
                took_s = _follow(sdk, way.task_id)
                if counts:
                    after = _cpu(server, way.agent)
                    way.rates.append(LINES / took_s)
                    way.cpu.append([now - then for now, then in zip(after, before, strict=True)])
            if "docker" in ways:
                proc.wait_until_quiet()
                attached += [_attached()] if counts else []
    return list(_rows(ways, relayed, attached))


def _rows(ways: dict[str, Followed], relayed: list[float], attached: list[float]) -> Iterator[Row]:
    relay = f"bare relay of 64 KiB messages: {spread(relayed, 'MiB/s')}"
    for runtime, way in ways.items():
        mib_s = [rate * LINE_BYTES / _MIB for rate in way.rates]
        yield Row(
            measure=f"stdout to a client that follows, {runtime}, lines of {LINE_BYTES} bytes",
            value=f"{spread(mib_s, 'MiB/s')}, {median(way.rates):.0f} lines/s",
            reference=relay,
            ratio=median(mib_s) / median(relayed),
            goal=GOAL,
            more_is_better=True,
        )
        if runtime == "docker":
            yield Row(
                measure="the same",
                value=spread(mib_s, "MiB/s"),
                reference=f"docker run, attached: {spread(attached, 'MiB/s')}",
                ratio=median(mib_s) / median(attached),
                more_is_better=True,
            )
        of_server, of_agent, of_client = (
            f"{median(values) / LINES * 1e6:.2f}" for values in zip(*way.cpu, strict=True)
        )
        yield Row(
            measure="the same: CPU per line",
            value=f"server {of_server}, agent and its processes {of_agent}, client {of_client} µs",
        )


def _way(
    stack: contextlib.ExitStack, sdk: FlowServerSdk, server: Server, folder: Path, runtime: str
) -> Followed:
    party = f"bench-logs-{runtime}"
    ready = folder / f"{party}.json"
    arguments = [*fedflow(), "agent", "--insecure", "--server", server.address, "--party", party]
    arguments += ["--runtime", runtime, "--on-exit", "stop"]
    arguments += ["--state-dir", str(folder / party), "--ready-file", str(ready)]
    agent = child(stack, party, arguments, folder)
    agent.ready(ready)
    task_id = make_task(sdk, image=IMAGE, command=COMMAND, parties=[party])
    return Followed(agent=agent, task_id=task_id)


def _has_engine() -> bool:
    try:
        engine = docker.from_env(timeout=120)
        engine.images.get(IMAGE)
        engine.close()
    except DockerException:
        return False
    return True


def _attached() -> float:
    """Return MiB per second of the same container with nothing of ours."""
    command = ["docker", "run", "--rm", "--network", "none", "--log-driver", "local"]
    with subprocess.Popen([*command, IMAGE, *COMMAND], stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        read, began_s = len(running.stdout.read(1)), time.monotonic()
        while data := running.stdout.read1(_READ_BYTES):  # type: ignore[attr-defined]  # is buffered
            read += len(data)
        took_s = time.monotonic() - began_s
    if read != LINES * LINE_BYTES:
        raise BenchError(f"docker run gave {read} of {LINES * LINE_BYTES} bytes")
    return read / _MIB / took_s


class _Taker:
    """The far end of the relay: counts messages and looks at none."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address)
        self._call: Any = None

    def __enter__(self) -> Self:
        grpc.channel_ready_future(self._channel).result(60)
        # Open for ever; what comes is taken as it is.
        self._call = self._channel.stream_stream("/bare/Relay")(_never())
        return self

    def __exit__(self, *_: object) -> None:
        self._call.cancel()
        self._channel.close()

    def take(self, messages: int) -> None:
        for _ in range(messages):
            next(self._call)


def _relay(flood: Child, taker: _Taker) -> float:
    began_at = float(flood.ask({"messages": MESSAGES})["began_at"])
    taker.take(MESSAGES)
    return MESSAGES * MESSAGE_BYTES / _MIB / (time.time() - began_at)


def _follow(sdk: FlowServerSdk, task_id: str) -> float:
    """Return the seconds from the container's first byte to the client's last line."""
    data_of(sdk.task.start(task_id))
    first_at, lines = 0.0, 0
    for line in sdk.task.logs(task_id, follow=True):
        if lines == 0:
            first_at = line.at.timestamp()
        lines += 1
    took_s = time.time() - first_at
    if lines != LINES:
        raise BenchError(f"{lines} of {LINES} lines came")
    data_of(sdk.task.wait(task_id, timeout_s=300))
    return took_s


def _never() -> Any:
    """Send nothing, for as long as anybody listens."""
    threading.Event().wait()
    yield b""


def _cpu(server: Server, agent: Child) -> list[float]:
    """Return the CPU seconds of server with its PostgreSQL, agent and this process so far."""
    of_server = [server.child.pid, *proc.descendants(server.child.pid)]
    of_agent = [agent.pid, *proc.descendants(agent.pid)]
    return [proc.cpu_s(of_server), proc.cpu_s(of_agent), time.process_time()]
