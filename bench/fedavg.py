"""One federated round of the FedAvg example through tunnels, beside the same on plain loopback.

Both are runs of Fedflow with the same processes at the same sites, in turns. In one the parties
dial their coordinator by its name, through agents and relay, with TLS; in the other they dial
where it really listens, which only processes without a sandbox can.
"""

import contextlib
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

from bench import proc
from bench.figures import median, spread_ms
from bench.flows import data_of
from bench.hub import free_port
from bench.processes import ROOT, BenchError, Server
from bench.secure import SecureServer, secure_server
from bench.table import Row

EXAMPLE = ROOT / "examples" / "fedavg_digits"
PARTIES = 3
FEDERATED_ROUNDS = 30
RUNS = 5
GOAL = 1.10
PORT = 7200
_HUB = "hub"
_BY_NAME = f"{{coordinator}}:{PORT}"
# Where parties look for their coordinator somebody has to listen; then it becomes the program.
_LISTENS = f"""
import os, socket, sys
there = socket.create_server((os.environ["THERE"], {PORT}))
there.set_inheritable(True)
os.execv(sys.argv[1], sys.argv[1:])
"""
_WITHIN_S = 600.0


def measure(server: Server, folder: Path) -> list[Row]:
    """Return the row on a federated round."""
    digits = folder / "digits"
    _python(ROOT / "scripts" / "packages.py", *_requirements())
    _python(EXAMPLE / "split.py", str(digits), str(PARTIES))
    tunnelled: list[float] = []
    plain: list[float] = []
    with contextlib.ExitStack() as stack:
        secure = secure_server(stack, server, folder)
        secure.site(_HUB)
        for number in range(1, PARTIES + 1):
            secure.site(f"party-{number}", "--data", f"digits={digits / f'party-{number}'}")
        through = _task(secure, digits, "tunnels", [], f"{{address}}:{PORT}", _BY_NAME)
        here = f"127.0.0.1:{free_port()}"
        direct = _task(secure, digits, "loopback", [sys.executable, "-c", _LISTENS], here, here)
        for number in range(RUNS + 1):
            for task_id, rounds_s in ((through, tunnelled), (direct, plain)):
                proc.wait_until_quiet()
                took_s = _rounds_s(secure, task_id)
                # The first run warms caches up; it does not count.
                rounds_s.extend(took_s if number else [])
    return [
        Row(
            measure=f"one federated round of {PARTIES} parties (FedAvg, torch), through tunnels",
            value=spread_ms(tunnelled),
            reference=f"the same processes on plain loopback: {spread_ms(plain)}",
            ratio=median(tunnelled) / median(plain),
            goal=GOAL,
        )
    ]


def _requirements() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found: list[str] = project["optional-dependencies"]["examples"]
    return found


def _python(program: Path, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, str(program), *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BenchError(f"{program.name} failed: {done.stderr[-2000:]}")


def _task(  # noqa: PLR0917 - what is run first, and who listens and dials where
    secure: SecureServer, digits: Path, name: str, first: list[str], listens: str, dials: str
) -> str:
    program, test = str(EXAMPLE / "fedavg.py"), str(digits / "test.npz")
    template = secure.sdk.template.create(
        name,
        "none:1",
        "/",
        [sys.executable, program, "party", dials, test, "torch"],
        coordinator={
            "command": [*first, sys.executable, program, "aggregator", listens, test],
            "ports": [PORT],
            "party": _HUB,
            "env": {"THERE": "{address}"},
            "ends": "by_itself",
        },
    )
    given = [
        {"federated_id": f"party-{number}", "federated_data": "digits"}
        for number in range(1, PARTIES + 1)
    ]
    task = secure.sdk.task.create(name, data_of(template)["template_id"], "", given)
    return str(data_of(task)["task_id"])


def _rounds_s(secure: SecureServer, task_id: str) -> list[float]:
    """Return the seconds of each round but the first, by the coordinator's own log."""
    data_of(secure.sdk.task.start(task_id, epochs=FEDERATED_ROUNDS))
    ended = data_of(secure.sdk.task.wait(task_id, timeout_s=_WITHIN_S))
    if ended["status"] != "Succeeded":
        raise BenchError(f"the run did not succeed: {ended}")
    lines = secure.sdk.task.logs(task_id, party="coordinator", follow=True)
    ends = [line.at.timestamp() for line in lines if line.text.startswith("round ")]
    if len(ends) != FEDERATED_ROUNDS:
        raise BenchError(f"{len(ends)} of {FEDERATED_ROUNDS} rounds were told")
    return [later - earlier for earlier, later in pairwise(ends)]
