"""Flower, from `flwr run` to its first round finished: through Fedflow, and deployed by hand.

Two deployments of the same image stand side by side, each a SuperLink and three SuperNodes, and
are asked in turns: one as a run of Fedflow, its members in containers with no network but what
agents and relay carry, the other as containers that share one loopback.
"""

import contextlib
import io
import json
import subprocess
import sys
import tarfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException

from bench import proc
from bench.figures import median, spread
from bench.flows import data_of, stop
from bench.processes import ROOT, BenchError, Server, child, fedflow
from bench.table import Row
from flow_server_sdk import FlowServerSdk
from party_agent.runtime.docker_engine.translate import LABEL_PARTY_RUN

IMAGE = "fedflow-flower:1.42.0"
APP = ROOT / "examples" / "flower_digits" / "app"
PARTIES = 3
ROUNDS = 5
GOAL = 1.10
PORT = 8000
LABEL = "org.fedflow.bench"
_HOME = "/tmp/flower"
_ENV = {"FLWR_HOME": _HOME, "HOME": _HOME}
_HUB = "hub"
_UP_S, _RUN_S = 300.0, 600.0
_SUPERLINK = [
    "flower-superlink", "--insecure", "--host", "0.0.0.0", "--port", str(PORT),
    "--disable-runtime-dependency-installation",
]  # fmt: skip
_DATA = 'data="/data"'
_CONFIG = f"""
[superlink]
default = "here"

[superlink.here]
address = "127.0.0.1:{PORT}"
insecure = true
"""
_UNPACK = (
    f"import sys, tarfile; tarfile.open(fileobj=sys.stdin.buffer, mode='r|').extractall('{_HOME}')"
)
_IMAGES_S = """
import numpy
random = numpy.random.default_rng(0)
numpy.savez({path!r}, images=random.integers(0, 17, (600, 64)).astype("u1"),
            labels=random.integers(0, 10, 600))
"""


def measure(server: Server, folder: Path) -> list[Row]:
    """Return the row on Flower, none where there is no engine."""
    try:
        engine = docker.from_env(timeout=120)
        engine.ping()
    except DockerException as error:
        print(f"no Flower: {error}", file=sys.stderr)
        return []
    _image()
    data = folder / "digits"
    data.mkdir(mode=0o755)
    _run([sys.executable, "-c", _IMAGES_S.format(path=str(data / "digits.npz"))])
    took_s: dict[str, list[float]] = {"fedflow": [], "by hand": []}
    with contextlib.ExitStack() as stack:
        stack.callback(engine.close)
        hubs = {
            "fedflow": stack.enter_context(_by_fedflow(engine, server, folder, data)),
            "by hand": stack.enter_context(_by_hand(engine, data)),
        }
        for hub in hubs.values():
            _bring_app(hub)
        for number in range(ROUNDS + 1):
            for name, hub in hubs.items():
                proc.wait_until_quiet()
                one_s = _first_round_s(hub)
                # The first finds SuperNodes that may not be there yet; it does not count.
                took_s[name] += [one_s] if number else []
    ours, by_hand = took_s["fedflow"], took_s["by hand"]
    return [
        Row(
            measure=f"flwr run to round 1 finished, {PARTIES} SuperNodes",
            value=spread(ours, "s"),
            reference=f"Flower's own deployment by hand, one loopback: {spread(by_hand, 's')}",
            ratio=median(ours) / median(by_hand),
            goal=GOAL,
        )
    ]


@contextlib.contextmanager
def _by_fedflow(engine: Any, server: Server, folder: Path, data: Path) -> Iterator[str]:
    """Yield the container of the SuperLink of a run."""
    parties = [f"flower-{number}" for number in range(PARTIES)]
    with contextlib.ExitStack() as stack:
        for party in (*parties, _HUB):
            ready, state = folder / f"{party}.json", folder / party
            arguments = [*fedflow(), "agent", "--insecure", "--server", server.address]
            arguments += ["--party", party, "--runtime", "docker", "--on-exit", "stop"]
            arguments += ["--data", f"digits={data}", "--state-dir", str(state)]
            agent = child(stack, party, [*arguments, "--ready-file", str(ready)], folder)
            agent.ready(ready)
        sdk = stack.enter_context(FlowServerSdk(server.host, server.port))
        template = sdk.template.create(
            "flower",
            IMAGE,
            "/",
            _supernode("{coordinator}", 9094),
            env=_ENV,
            coordinator={"command": _SUPERLINK, "ports": [PORT], "party": _HUB, "env": _ENV},
        )
        given = [{"federated_id": party, "federated_data": "digits"} for party in parties]
        task = sdk.task.create("flower", data_of(template)["template_id"], "", given)
        task_id = str(data_of(task)["task_id"])
        data_of(sdk.task.start(task_id))
        try:
            yield _container(engine, sdk, task_id)
        finally:
            stop(sdk, task_id)


def _container(engine: Any, sdk: FlowServerSdk, task_id: str) -> str:
    deadline_s = time.monotonic() + _UP_S
    while (task := data_of(sdk.task.get(task_id)))["status"] != "Running":
        if task["status"] == "Failed" or time.monotonic() > deadline_s:
            raise BenchError(f"Flower does not run: {json.dumps(task)}")
        # Until all are up; the wait tells of ends only.
        time.sleep(0.1)
    label = f"{LABEL_PARTY_RUN}={task['coordinator']['party_run_id']}"
    found = [
        each
        for each in engine.containers.list(filters={"label": label})
        if "flower-superlink" in str(each.attrs["Config"]["Cmd"])
        or "flower-superlink" in str(each.attrs["Path"])
    ]
    if len(found) != 1:
        raise BenchError(f"{len(found)} containers have {label}")
    return str(found[0].id)


@contextlib.contextmanager
def _by_hand(engine: Any, data: Path) -> Iterator[str]:
    """Yield the container of a SuperLink that was started with `docker run`."""
    mine = uuid.uuid4().hex
    common = {"detach": True, "labels": {LABEL: mine}, "environment": _ENV}
    try:
        hub = engine.containers.run(IMAGE, _SUPERLINK, network_mode="none", **common)
        for number in range(PARTIES):
            engine.containers.run(
                IMAGE,
                _supernode("127.0.0.1", 9100 + number),
                network_mode=f"container:{hub.id}",
                volumes={str(data): {"bind": "/data", "mode": "ro"}},
                **common,
            )
        yield str(hub.id)
    finally:
        for each in engine.containers.list(all=True, filters={"label": f"{LABEL}={mine}"}):
            each.remove(force=True)


def _supernode(superlink: str, port: int) -> list[str]:
    return [
        "flower-supernode", "--insecure", "--superlink", f"{superlink}:{PORT}",
        "--port", str(port), "--node-config", _DATA,
    ]  # fmt: skip


def _bring_app(container: str) -> None:
    with io.BytesIO() as packed:
        with tarfile.open(fileobj=packed, mode="w") as archive:
            archive.add(
                APP, "app", filter=lambda each: None if "__pycache__" in each.name else each
            )
            config = tarfile.TarInfo("config.toml")
            config.size = len(_CONFIG)
            archive.addfile(config, io.BytesIO(_CONFIG.encode()))
        _run(["docker", "exec", "-i", container, "python3", "-c", _UNPACK], given=packed.getvalue())


def _source(file: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in file.name else file


def _first_round_s(container: str) -> float:
    """Run the app for one round; return the seconds until its round is told to be over."""
    command = ["docker", "exec"]
    command += [f"--env={name}={value}" for name, value in _ENV.items()]
    command += [container, "flwr", "run", f"{_HOME}/app", "--stream", "--run-config"]
    command += [f"num-nodes={PARTIES} num-server-rounds=1"]
    began_s, finished_s, said = time.monotonic(), 0.0, []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            said.append(line)
            if "aggregate_evaluate: Received" in line:
                finished_s = time.monotonic()
        running.wait(_RUN_S)
    text = "".join(said)
    if not finished_s or f"Received {PARTIES} results and 0 failures" not in text:
        raise BenchError(f"Flower finished no round:\n{text[-3000:]}")
    return finished_s - began_s


def _image() -> None:
    """Build the image if it is not there."""
    _run([sys.executable, str(ROOT / "scripts" / "framework_images.py"), "flower"])


def _run(command: list[str], *, given: bytes = b"") -> None:
    done = subprocess.run(command, input=given, capture_output=True, check=False)
    if done.returncode:
        raise BenchError(f"{' '.join(command[:3])} failed: {done.stderr.decode()[-2000:]}")
