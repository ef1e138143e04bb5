"""One start, image present, beside `docker run -d --network none` of the same image."""

import contextlib
import itertools
import queue
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import docker
from docker.errors import DockerException

from bench import proc
from bench.figures import median, spread, spread_ms
from bench.flows import make_task, stop
from bench.processes import BenchError, Child, Server, child, fedflow
from bench.table import Row
from flow_server_sdk import FlowServerSdk

# What `make images` builds from the local Python.
IMAGE = f"fedflow-python:{sys.version_info.major}.{sys.version_info.minor}"
COMMAND = ("sleep", "600")
REPETITIONS = 21
PARALLEL = 8
PARALLEL_REPETITIONS = 5
WARM_SANDBOXES = 2
GOAL_WARM, GOAL_COLD = 0.7, 1.15
STARTED_S = 120.0
SETTLED_S = 120.0
LABEL = "org.fedflow.bench"


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to get `parties` containers running, with a task over agents of its own."""

    task_id: str
    parties: tuple[str, ...]
    sandboxes: int


class Bench:
    """The engine, asked without the code under test, and the ways to start on it."""

    def __init__(self, engine: docker.APIClient, sdk: FlowServerSdk) -> None:
        self._engine = engine
        self._sdk = sdk
        self._started: queue.Queue[tuple[str, str]] = queue.Queue()

    def listen(self) -> None:
        """Put each container that starts into a queue; to be run in a thread of its own."""
        wanted = {"type": "container", "event": "start", "label": "io.fedflow.task"}
        for event in self._engine.events(decode=True, filters=wanted):
            actor = event["Actor"]
            self._started.put((actor["Attributes"]["io.fedflow.task"], actor["ID"]))

    def start(self, way: Way) -> float:
        """Return the seconds from the call to the last container's own StartedAt."""
        began = time.time()
        self._sdk.task.start(way.task_id)
        ids = [self._next_started(way.task_id) for _ in way.parties]
        took_s = max(self._started_at(found) for found in ids) - began
        stop(self._sdk, way.task_id)
        self._settle(way)
        return took_s

    def run(self, containers: int) -> float:
        """Return the same for as many `docker run -d --network none`, all at once."""
        with ThreadPoolExecutor(containers) as threads:
            began = time.time()
            ids = list(threads.map(lambda _: _docker_run(), range(containers)))
            took_s = max(self._started_at(found) for found in ids) - began
            list(threads.map(self._remove, ids))
        return took_s

    def _next_started(self, task_id: str) -> str:
        while True:
            try:
                of_task, found = self._started.get(timeout=STARTED_S)
            except queue.Empty:
                raise BenchError(f"no container started within {STARTED_S:.0f} s") from None
            if of_task == task_id:
                return found

    def _started_at(self, container: str) -> float:
        text = str(self._engine.inspect_container(container)["State"]["StartedAt"])
        # Nanoseconds, of which Python takes microseconds.
        return datetime.fromisoformat(f"{text[:26].rstrip('Z')}Z").timestamp()

    def _remove(self, container: str) -> None:
        self._engine.remove_container(container, force=True)

    def _settle(self, way: Way) -> None:
        """Wait until this way's containers are gone and its pools are full again."""
        deadline_s = time.monotonic() + SETTLED_S
        while self._sandboxes(way) != (0, way.sandboxes * len(way.parties)):
            if time.monotonic() > deadline_s:
                raise BenchError(f"the engine holds {self._sandboxes(way)} of {way.parties}")
            # Pool and removal say nothing when they are done; only looking tells.
            time.sleep(0.1)

    def _sandboxes(self, way: Way) -> tuple[int, int]:
        workloads = sandboxes = 0
        for found in self._engine.containers(all=True, filters={"label": "io.fedflow.agent"}):
            if not str(found["Labels"]["io.fedflow.agent"]).startswith(way.parties):
                continue
            if found["Labels"]["io.fedflow.role"] == "workload":
                workloads += 1
            elif found["State"] == "running":
                sandboxes += 1
        return workloads, sandboxes


def measure(server: Server, folder: Path) -> list[Row]:
    """Return the rows on starts, or one that says why there are none."""
    try:
        engine = docker.from_env(timeout=120).api
        engine.inspect_image(IMAGE)  # type: ignore[no-untyped-call]  # docker-py's decorator
    except DockerException as error:
        return [Row(measure="start of containers", value=f"not measured: {error}")]
    with contextlib.ExitStack() as stack:
        stack.callback(engine.close)
        sdk = stack.enter_context(FlowServerSdk(server.host, server.port))
        bench = Bench(engine, sdk)
        threading.Thread(target=bench.listen, daemon=True).start()

        def way(parties: int, sandboxes: int) -> Way:
            return stack.enter_context(_way(sdk, server, folder, parties, sandboxes))

        rows = _one(bench, way(1, WARM_SANDBOXES), way(1, 0))
        return rows + _many(bench, way(PARALLEL, 1), way(PARALLEL, 0))


def _one(bench: Bench, warm: Way, cold: Way) -> list[Row]:
    run, warm_s, cold_s = _interleaved(
        [lambda: bench.run(1), lambda: bench.start(warm), lambda: bench.start(cold)], REPETITIONS
    )
    return [
        Row(
            measure=f"start() to container running, {name}",
            value=spread_ms(values),
            reference=f"docker run -d --network none: {spread_ms(run)}",
            ratio=median(values) / median(run),
            goal=goal,
        )
        for name, values, goal in (
            (f"{WARM_SANDBOXES} warm sandboxes", warm_s, GOAL_WARM),
            ("no warm sandboxes", cold_s, GOAL_COLD),
        )
    ]


def _many(bench: Bench, warm: Way, cold: Way) -> list[Row]:
    run, warm_s, cold_s = (
        [PARALLEL / seconds for seconds in values]
        for values in _interleaved(
            [lambda: bench.run(PARALLEL), lambda: bench.start(warm), lambda: bench.start(cold)],
            PARALLEL_REPETITIONS,
        )
    )
    return [
        Row(
            measure=f"{PARALLEL} parties on one engine at once, {name}",
            value=spread(values, "containers/s"),
            reference=f"{PARALLEL} parallel docker run: {spread(run, 'containers/s')}",
            ratio=median(values) / median(run),
        )
        for name, values in (
            ("a warm sandbox each", warm_s),
            ("no warm sandboxes", cold_s),
        )
    ]


def _interleaved(ways: Sequence[Callable[[], float]], repetitions: int) -> list[list[float]]:
    """Measure each way once per round, in another order every round; the first does not count."""
    values: list[list[float]] = [[] for _ in ways]
    orders = itertools.cycle(itertools.permutations(range(len(ways))))
    for number in range(repetitions + 1):
        for place in next(orders):
            proc.wait_until_quiet()
            took_s = ways[place]()
            if number:
                values[place].append(took_s)
    return values


@contextlib.contextmanager
def _way(
    sdk: FlowServerSdk, server: Server, folder: Path, parties: int, sandboxes: int
) -> Iterator[Way]:
    prefix = f"bench-{uuid.uuid4().hex[:8]}"
    names = tuple(f"{prefix}-{number}" for number in range(parties))
    with contextlib.ExitStack() as stack:
        agents = [(name, _agent(stack, server, folder, name, sandboxes)) for name in names]
        for name, agent in agents:
            agent.ready(folder / f"{name}.json")
        task_id = make_task(sdk, image=IMAGE, command=COMMAND, parties=names)
        yield Way(task_id=task_id, parties=names, sandboxes=sandboxes)


def _agent(
    stack: contextlib.ExitStack, server: Server, folder: Path, name: str, sandboxes: int
) -> Child:
    arguments = [*fedflow(), "agent", "--insecure", "--server", server.address, "--party", name]
    arguments += ["--runtime", "docker", "--warm-sandboxes", str(sandboxes), "--on-exit", "stop"]
    arguments += ["--state-dir", str(folder / name), "--ready-file", str(folder / f"{name}.json")]
    return child(stack, name, arguments, folder)


def _docker_run() -> str:
    command = ["docker", "run", "-d", "--network", "none", "--label", LABEL, IMAGE, *COMMAND]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise BenchError(f"docker run failed: {ran.stderr.strip()}")
    return ran.stdout.strip()
