"""The main job, whole: three parties train one model, each on handwritten digits of its own.

    python examples/demo.py [--workload torch|numpy] [--runtime auto|docker|process] [--to DIR]

Starts a flow server with three agents on this machine, then does what a user would: starts one
task over all three with `fedflow task start FILE.yaml --watch`, draws the curves, and brings the
model down. An aggregator beside the first party averages what the parties learn (examples/
fedavg_digits), and each party trains alone as well: the last table compares. The exit status is
0 if every party succeeded and the model is better than any that a party made alone. What is left
of it are the results in DIR, images, and downloaded packages.
"""

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from demo_parts.commands import Commands
from demo_parts.federation import Federation, FederationError, started_federation
from demo_parts.setup import ROOT, Setup, SetupError, prepare
from demo_parts.table import final_table, rounds_table
from rich.console import Console

PARTIES = 3
DATA_NAME = "digits"
TASK = "digits"
PORT = 8080
RUN_TIMEOUT_S = 900
INTERRUPTED = 130


def main() -> int:
    """Run the demo. Returns the exit status."""
    options = _options()
    console = Console()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="fedflow-demo-") as name:
        folder = Path(name)
        # The embedded PostgreSQL gives up root and must still be able to reach its files.
        folder.chmod(0o711)
        try:
            setup = prepare(
                folder, workload=options.workload, runtime=options.runtime, parties=PARTIES
            )
            console.print(
                f"{setup.workload} workload, {setup.described}; starting {PARTIES} parties"
            )
            with started_federation(folder, setup) as federation:
                file = flow_file(folder, setup, federation, epochs=options.epochs)
                return run(federation, file, options.to, console)
        except (SetupError, FederationError) as problem:
            console.print(
                f"the demo can't go on: {problem}", highlight=False, markup=False, soft_wrap=True
            )
            return 1
        except KeyboardInterrupt:
            console.print("interrupted; everything is stopped")
            return INTERRUPTED


def run(federation: Federation, file: Path, to: Path, console: Console) -> int:
    """Start the task over all parties, and show what came of it. Returns the exit status."""
    fedflow = Commands(federation)
    curves = to / "accuracy.png"
    to.mkdir(parents=True, exist_ok=True)
    for arguments in (
        ("start", str(file), "--watch", "--wait-outputs", "--timeout", str(RUN_TIMEOUT_S)),
        ("metrics", TASK, "--name", "accuracy"),
        ("metrics", TASK, "--name", "accuracy", "--png", str(curves)),
        ("outputs", TASK),
        ("download", TASK, "--to", str(to), "--overwrite"),
    ):
        if code := fedflow.show("task", *arguments):
            return code
    ended = fedflow.answer("task", "get", TASK)
    alone = {party: _result(to, party) for party in federation.parties}
    rounds = _result(to, "coordinator").get("rounds", [])
    console.print()
    console.print(final_table(ended["party_status"], {}, alone))
    points = fedflow.answer("task", "metrics", TASK, "--name", "accuracy")
    console.print(rounds_table(rounds, _by_round(points)))
    console.print(f"curves: {curves}\nmodel: {to / 'coordinator' / 'model.npz'}", soft_wrap=True)
    if silent := [party for party, result in alone.items() if not result]:
        console.print(f"no result came from {', '.join(silent)}")
        return 1
    best = max(result["accuracy"] for result in alone.values())
    shared = rounds[-1]["accuracy"] if rounds else 0.0
    console.print(f"together {shared:.3f}, the best of them alone {best:.3f}")
    return int(shared <= best)


def flow_file(folder: Path, setup: Setup, federation: Federation, *, epochs: int) -> Path:
    """Write the file that the task is started from; JSON is YAML."""
    program, test = setup.program, setup.test
    document: dict[str, Any] = {
        "template": {
            "name": f"digits-{setup.workload}",
            "remark": "handwritten digits by federated averaging",
            "image_url": setup.image_url,
            "workdir": setup.workdir,
            "command": [*program, "party", f"{{coordinator}}:{PORT}", test, setup.workload],
            "hyper_parameter": {"lr": 0.1},
            "coordinator": {
                "command": [*program, "aggregator", f"{{address}}:{PORT}", test],
                "ports": [PORT],
                "party": federation.parties[0],
                "ends": "by_itself",
            },
        },
        "task": {"name": TASK, "parties": dict.fromkeys(federation.parties, DATA_NAME)},
        "start": {"epochs": epochs},
    }
    path = folder / "digits.yaml"
    path.write_text(json.dumps(document, indent=2))
    return path


def _result(to: Path, member: str) -> dict[str, Any]:
    path = to / member / "result.json"
    result: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return result


def _by_round(answer: dict[str, Any]) -> dict[str, dict[int, float]]:
    """Return each member's accuracy by round."""
    found: dict[str, dict[int, float]] = {}
    for point in answer["points"]:
        found.setdefault(point["party"], {})[point["step"]] = point["value"]
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Three parties train a model of digits.")
    parser.add_argument("--workload", choices=["torch", "numpy"], default="torch")
    parser.add_argument("--runtime", choices=["auto", "docker", "process"], default="auto")
    parser.add_argument("--epochs", type=int, default=15, help="rounds of averaging")
    parser.add_argument("--to", type=Path, default=ROOT / ".fedflow" / "demo", metavar="DIR")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
