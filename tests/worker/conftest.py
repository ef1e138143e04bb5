"""Programs that import flow_worker, and an agent's socket in another process."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

SDK = Path(__file__).resolve().parents[2] / "sdk"
DEADLINE_S = 60


class Agent:
    """The socket that a workload is given, and who listens behind it: perhaps nobody."""

    def __init__(self, folder):
        self.path = folder / "api.sock"
        self._log = folder / "requests"
        self._log.touch()
        self._process = None

    def start(self, **answers):
        stand_in = Path(__file__).with_name("agent_socket.py")
        self._process = subprocess.Popen(
            [sys.executable, stand_in, self.path, self._log, json.dumps(answers)],
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout.readline() == b"listening\n"

    def kill(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait(DEADLINE_S)
            self._process.stdout.close()
            self._process = None

    def requests(self, path):
        """Return the bodies of the requests to this path so far."""
        lines = map(json.loads, self._log.read_text().splitlines())
        return [line["body"] for line in lines if line["path"] == path]

    def batches(self):
        """Return the batches of metrics by name, one that came twice once."""
        return {body["batch"]: body for body in self.requests("/v1/metrics")}

    def points(self):
        return [point for body in self.batches().values() for point in body["points"]]

    def values(self):
        return [point["value"] for point in self.points()]


@pytest.fixture
def agent():
    # Short: the address of a socket has 107 bytes.
    with tempfile.TemporaryDirectory(prefix="fw-") as folder:
        agent = Agent(Path(folder))
        yield agent
        agent.kill()


@pytest.fixture
def program(agent):
    """Start Python code as a workload; what it prints and is told goes through pipes."""
    started = []

    def program(code, *, api=None, **environ):
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(SDK),
                "FEDFLOW_API": str(agent.path) if api is None else api,
                **environ,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield program
    for process in started:
        process.kill()
        process.communicate(timeout=DEADLINE_S)


@pytest.fixture
def run(program):
    """Run Python code to its end; return (exit code, stdout, stderr)."""

    def run(code, **options):
        process = program(code, **options)
        out, err = process.communicate(timeout=DEADLINE_S)
        return process.returncode, out, err

    return run


def until(happened):
    """Return once `happened()` is true; for what only another process's file can tell."""
    pause, looks = threading.Event(), 0
    while not happened():
        assert looks * 0.02 < DEADLINE_S
        looks += 1
        pause.wait(0.02)
