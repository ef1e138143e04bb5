"""The command line over a bare Python and over the bare SDK, each a fresh process."""

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

from bench import proc
from bench.figures import median, spread_ms
from bench.processes import ROOT, BenchError, Server
from bench.table import Row
from flow_server_sdk import FlowServerSdk

REPETITIONS = 21
GOAL_HELP, GOAL_GET = 9.0, 1.3

_NOTHING = [sys.executable, "-c", "pass"]
_FEDFLOW = [sys.executable, "-m", "flow_server_sdk.cli"]
_SDK = """
from flow_server_sdk import FlowServerSdk
with FlowServerSdk({host!r}, {port!r}) as sdk:
    print(sdk.task.get({task_id!r}))
"""


def measure(server: Server, folder: Path) -> list[Row]:
    """Return the rows on the command line."""
    del folder
    task_id = _task(server)
    sdk = _SDK.format(host=server.host, port=server.port, task_id=task_id)
    get = [*_FEDFLOW, "task", "get", task_id, "--server", server.address]
    nothing, shown, bare, people, programs = _interleaved(
        [
            _NOTHING,
            [*_FEDFLOW, "--help"],
            [sys.executable, "-c", sdk],
            get,
            [*get, "--json"],
        ]
    )
    return [
        _row("fedflow --help", shown, "python -c pass", nothing, GOAL_HELP),
        _row("fedflow task get, for people", people, "the same call by the SDK", bare, GOAL_GET),
        _row("fedflow task get --json", programs, "the same call by the SDK", bare, GOAL_GET),
    ]


def _row(measure: str, values: list[float], than: str, reference: list[float], goal: float) -> Row:
    return Row(
        measure=measure,
        value=spread_ms(values),
        reference=f"{than}: {spread_ms(reference)}",
        ratio=median(values) / median(reference),
        goal=goal,
    )


def _task(server: Server) -> str:
    with FlowServerSdk(server.host, server.port) as sdk:
        template = sdk.template.create("bench-cli", "image:1", "", ["true"])
        parties = [{"federated_id": f"party-{n}", "federated_data": ""} for n in range(3)]
        task = sdk.task.create("bench-cli", template["data"]["template_id"], "", parties)
        return str(task["data"]["task_id"])


def _interleaved(commands: list[list[str]]) -> list[list[float]]:
    """Run each command once per round, in another order every round; the first does not count."""
    values: list[list[float]] = [[] for _ in commands]
    places = range(len(commands))
    orders = itertools.cycle([*places[turn:], *places[:turn]] for turn in places)
    for number in range(REPETITIONS + 1):
        for place in next(orders):
            proc.wait_until_quiet()
            took_s = _took_s(commands[place])
            if number:
                values[place].append(took_s)
    return values


def _took_s(command: list[str]) -> float:
    path = f"{ROOT / 'sdk'}{os.pathsep}{ROOT}"
    began_s = time.perf_counter()
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    took_s = time.perf_counter() - began_s
    if done.returncode:
        raise BenchError(f"{command} ended with {done.returncode}: {done.stderr.decode()[-500:]}")
    return took_s
