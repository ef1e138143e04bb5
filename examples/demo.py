"""The main job, whole: three parties train a model, each on its own handwritten digits.

    python examples/demo.py [--workload torch|numpy] [--runtime auto|docker|process]

Starts a flow server with three agents on this machine, starts one task over all three with
FlowServerSdk, shows each party's status as it changes and ends with a table. The exit status
is 0 if every party succeeded. Nothing is left running, and nothing on disk but images and
downloaded packages.
"""

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from demo_parts.federation import Federation, FederationError, started_federation
from demo_parts.setup import Setup, SetupError, prepare
from demo_parts.table import StatusBoard, final_table
from rich.console import Console

from flow_contract.errors import FlowError
from flow_server_sdk import FlowServerSdk

PARTIES = 3
DATA_NAME = "digits"
RUN_TIMEOUT_S = 900
LOOK_S = 5
INTERRUPTED = 130


def main() -> int:
    """Run the demo. Returns the exit status."""
    options = _options()
    console = Console()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="fedflow-demo-") as folder:
        # The embedded PostgreSQL gives up root and must still be able to reach its files.
        Path(folder).chmod(0o711)
        try:
            setup = prepare(
                Path(folder), workload=options.workload, runtime=options.runtime, parties=PARTIES
            )
            console.print(
                f"{setup.workload} workload, {setup.described}; starting {PARTIES} parties"
            )
            with started_federation(Path(folder), setup) as federation:
                return run(federation, setup, epochs=options.epochs, console=console)
        except (SetupError, FederationError, FlowError, TimeoutError) as problem:
            console.print(
                f"the demo can't go on: {problem}", highlight=False, markup=False, soft_wrap=True
            )
            return 1
        except KeyboardInterrupt:
            console.print("interrupted; everything is stopped")
            return INTERRUPTED


def run(federation: Federation, setup: Setup, *, epochs: int, console: Console) -> int:
    """Start the task over all parties and follow it to its end. Returns the exit status."""
    client = FlowServerSdk(
        host=federation.host, port=federation.port, token=federation.token, ca=federation.ca
    )
    template_id = data_of(
        client.template.create(
            name=f"digits-{setup.workload}",
            image_url=setup.image_url,
            workdir=setup.workdir,
            command=list(setup.command),
            remark="classify handwritten digits",
            hyper_parameter=["lr=0.05", "hidden=64"],
        )
    )["template_id"]
    task_id = data_of(
        client.task.create(
            name="digits",
            template_id=template_id,
            remark="make demo",
            federate_data=[
                {"federated_id": party, "federated_data": DATA_NAME} for party in federation.parties
            ],
        )
    )["task_id"]
    data_of(client.task.start(task_id, epochs=epochs))
    with StatusBoard(console) as board:
        ended = followed(client, federation, task_id, board)
    results = federation.results(str(ended["run_id"]))
    console.print(final_table(ended["party_status"], board.seconds(), results))
    if ended["status"] != "Succeeded":
        why = f"the run is {ended['status']}: {ended['run_message']}"
        console.print(why, highlight=False, markup=False, soft_wrap=True)
        return 1
    silent = [party for party in federation.parties if party not in results]
    if silent:
        console.print(f"no result was left by {', '.join(silent)}")
    return int(bool(silent))


def followed(
    client: FlowServerSdk, federation: Federation, task_id: str, board: StatusBoard
) -> dict[str, Any]:
    """Return the task when its run has ended.

    Raises:
        FederationError: the federation ended before the run.
        TimeoutError: the run takes too long.
    """
    give_up_at = time.monotonic() + RUN_TIMEOUT_S
    while True:
        try:
            return data_of(client.task.wait(task_id, timeout_s=LOOK_S, on_change=board.update))
        except TimeoutError:
            # A wait outlives a server that is away for a while; ours would not come back.
            federation.check()
            if time.monotonic() > give_up_at:
                raise


def data_of(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer's data. Raises FederationError with the server's sentence if it refused."""
    if answer["ret_code"] != 0:
        raise FederationError(f"{answer['ret_msg']} ({answer['ret_code']})")
    data: dict[str, Any] = answer.get("data") or {}
    return data


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Three parties train on their own digits.")
    parser.add_argument("--workload", choices=["torch", "numpy"], default="torch")
    parser.add_argument("--runtime", choices=["auto", "docker", "process"], default="auto")
    parser.add_argument("--epochs", type=int, default=10)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
