"""Log lines from a container's stdout to a client that follows, beside a bare relay of bytes."""

import contextlib
import threading
import time
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
ROUNDS = 3
MESSAGE_BYTES = 64 * 1024
MESSAGES = LINES * LINE_BYTES // MESSAGE_BYTES
GOAL = 0.7
PARTY = "bench-logs"
# `yes` is as fast a writer as there is.
COMMAND = ("sh", "-c", f"yes {'x' * (LINE_BYTES - 1)} | head -n {LINES}")
_MIB = 1024**2


def measure(server: Server, folder: Path) -> list[Row]:
    """Return the rows on logs, or one that says why there are none."""
    try:
        engine = docker.from_env(timeout=120)
        engine.images.get(IMAGE)
        engine.close()
    except DockerException as error:
        return [Row(measure="logs of containers", value=f"not measured: {error}")]
    with contextlib.ExitStack() as stack:
        agent = _agent(stack, server, folder)
        bare = child(stack, "bare", ["-m", "bench.bare"], folder)
        address = str(bare.hear()["address"])
        taker = stack.enter_context(_Taker(address))
        arguments = ["-m", "bench.bare_flood", address, str(MESSAGE_BYTES)]
        flood = child(stack, "flood", arguments, folder)
        flood.hear()
        sdk = stack.enter_context(FlowServerSdk(server.host, server.port))
        task_id = make_task(sdk, image=IMAGE, command=COMMAND, parties=[PARTY])
        relayed: list[float] = []
        followed: list[float] = []
        used: list[list[float]] = []
        for number in range(ROUNDS + 1):
            proc.wait_until_quiet()
            relay_mib_s = _relay(flood, taker)
            proc.wait_until_quiet()
            before = _cpu(server, agent)
            follow_s = _follow(sdk, task_id)
            if number:
                relayed.append(relay_mib_s)
                followed.append(LINES / follow_s)
                after = _cpu(server, agent)
                used.append([now - then for now, then in zip(after, before, strict=True)])
    return _rows(followed, relayed, used)


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


def _rows(followed: list[float], relayed: list[float], used: list[list[float]]) -> list[Row]:
    mib_s = [rate * LINE_BYTES / _MIB for rate in followed]
    of_server, of_agent, of_client = (
        f"{median(values) / LINES * 1e6:.2f}" for values in zip(*used, strict=True)
    )
    return [
        Row(
            measure=f"container's stdout to a client that follows, lines of {LINE_BYTES} bytes",
            value=f"{spread(mib_s, 'MiB/s')}, {median(followed):.0f} lines/s",
            reference=f"bare relay of 64 KiB messages: {spread(relayed, 'MiB/s')}",
            ratio=median(mib_s) / median(relayed),
            goal=GOAL,
            more_is_better=True,
        ),
        Row(
            measure="the same: CPU per line",
            value=f"server {of_server}, agent {of_agent}, client {of_client} µs",
        ),
    ]


def _agent(stack: contextlib.ExitStack, server: Server, folder: Path) -> Child:
    arguments = [*fedflow(), "agent", "--insecure", "--server", server.address, "--party", PARTY]
    arguments += ["--runtime", "docker", "--on-exit", "stop"]
    arguments += ["--state-dir", str(folder / PARTY), "--ready-file", str(folder / "agent.json")]
    started = child(stack, PARTY, arguments, folder)
    started.ready(folder / "agent.json")
    return started


def _cpu(server: Server, agent: Child) -> list[float]:
    """Return the CPU seconds of server with its PostgreSQL, agent and this process so far."""
    of_server = [server.child.pid, *proc.descendants(server.child.pid)]
    of_agent = [agent.pid, *proc.descendants(agent.pid)]
    return [proc.cpu_s(of_server), proc.cpu_s(of_agent), time.process_time()]
