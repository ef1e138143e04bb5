"""Starts a SuperLink, runs the app in ./app on it, and ends as the app's run did.

    python3 coordinator.py PARTIES ROUNDS

SuperLink and `flwr run` are Flower's own commands, as one would type them.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

PORT = 8000
APP = Path(__file__).parent / "app"
HOME = Path("/tmp/flower")
CONNECTION = f"""
[superlink]
default = "here"

[superlink.here]
address = "127.0.0.1:{PORT}"
insecure = true
"""


def main(parties: int, rounds: int) -> int:
    """Run the app. Returns the exit status: 0 if its run was completed."""
    HOME.mkdir(parents=True, exist_ok=True)
    (HOME / "config.toml").write_text(CONNECTION)
    environment = {**os.environ, "FLWR_HOME": str(HOME), "HOME": str(HOME)}
    superlink = subprocess.Popen(
        ["flower-superlink", "--insecure", "--host", "0.0.0.0", "--port", str(PORT),
         "--disable-runtime-dependency-installation"],
        env=environment,
    )  # fmt: skip
    try:
        while not answers():
            if superlink.poll() is not None:
                return superlink.returncode or 1
            time.sleep(0.1)
        config = f"num-nodes={parties} num-server-rounds={rounds}"
        subprocess.run(
            ["flwr", "run", str(APP), "--stream", "--run-config", config],
            env=environment,
            check=True,
        )
        listed = subprocess.run(
            ["flwr", "list", "--format", "json"],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        [run] = json.loads(listed)["runs"]
        print("the run is", run["status"], flush=True)
        return int(run["status"] != "finished:completed")
    finally:
        superlink.terminate()
        superlink.wait()


def answers() -> bool:
    """Tell whether the SuperLink listens."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", PORT), timeout=1):
        return True
    return False


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
