"""The main job, whole: three parties train a model, each on its own handwritten digits.

    python examples/demo.py [--workload torch|numpy] [--runtime auto|docker|process] [--to DIR]

Starts a flow server with three agents on this machine, then does what a user would: starts one
task over all three with `fedflow task start FILE.yaml --watch`, draws their losses, and brings
their models down. The exit status is 0 if every party succeeded and its model came. Nothing is
left running, and nothing on disk but images, downloaded packages, and the models with --to.
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
from demo_parts.setup import Setup, SetupError, prepare
from demo_parts.table import final_table
from rich.console import Console

PARTIES = 3
DATA_NAME = "digits"
TASK = "digits"
RUN_TIMEOUT_S = 900
# Digits are learnt in no time: who watches would see nothing of it.
PAUSE_S = 0.5
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
                return run(federation, file, options.to or folder / "results", console)
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
    for arguments in (
        ("start", str(file), "--watch", "--wait-outputs", "--timeout", str(RUN_TIMEOUT_S)),
        ("metrics", TASK, "--name", "loss"),
        ("outputs", TASK),
        ("download", TASK, "--to", str(to)),
    ):
        if code := fedflow.show("task", *arguments):
            return code
    results = {
        result["party"]: result
        for result in (json.loads(path.read_text()) for path in to.glob("*/result.json"))
    }
    ended = fedflow.answer("task", "get", TASK)
    console.print()
    console.print(final_table(ended["party_status"], {}, results))
    models = {path.parent.name for path in to.glob("*/model.*")}
    silent = [party for party in federation.parties if party not in models & results.keys()]
    if silent:
        console.print(f"no model or result came from {', '.join(silent)}")
    return int(bool(silent))


def flow_file(folder: Path, setup: Setup, federation: Federation, *, epochs: int) -> Path:
    """Write the file that the task is started from; JSON is YAML."""
    document: dict[str, Any] = {
        "template": {
            "name": f"digits-{setup.workload}",
            "remark": "classify handwritten digits",
            "image_url": setup.image_url,
            "workdir": setup.workdir,
            "command": list(setup.command),
            "hyper_parameter": {"lr": 0.05, "hidden": 64},
        },
        "task": {"name": TASK, "parties": dict.fromkeys(federation.parties, DATA_NAME)},
        "start": {"epochs": epochs},
    }
    if sys.stdout.isatty():
        document["start"]["hyper_parameter"] = {"pause_s": PAUSE_S}
    path = folder / "digits.yaml"
    path.write_text(json.dumps(document, indent=2))
    return path


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Three parties train on their own digits.")
    parser.add_argument("--workload", choices=["torch", "numpy"], default="torch")
    parser.add_argument("--runtime", choices=["auto", "docker", "process"], default="auto")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--to", type=Path, help="where the models go; left out: away at the end")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
