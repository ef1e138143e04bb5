"""Stands in for NVIDIA's run-time hook, on a machine without a GPU.

The engine calls it as `… prestart` with the container's state on standard input, before the
first instruction of the container. Like the real one it reads which GPUs the container is to
see from the container's own configuration, refuses those that don't exist, and makes their
device nodes. FAKE_GPU_COUNT says how many there are; FAKE_GPU_LOG gets one JSON line per call.
"""

import json
import os
import subprocess
import sys
from pathlib import Path


def main() -> int:
    if sys.argv[1:] != ["prestart"]:
        return 0
    state = json.load(sys.stdin)
    config = json.loads(Path(state["bundle"], "config.json").read_text())
    environment = dict(entry.split("=", 1) for entry in config["process"]["env"])
    visible = environment.get("NVIDIA_VISIBLE_DEVICES", "")
    with Path(os.environ["FAKE_GPU_LOG"]).open("a") as log:
        print(json.dumps({"container": state["id"], "visible": visible}), file=log)
    count = int(os.environ["FAKE_GPU_COUNT"])
    indices = [name for name in visible.split(",") if name]
    for name in indices:
        if not name.isdecimal() or int(name) >= count:
            sys.stderr.write(f"nvidia-container-cli: device error: {name}: unknown device\n")
            return 1
    root = Path(config["root"]["path"])
    for name in indices:
        # In the container's own mount namespace; a node that reads like /dev/null.
        subprocess.run(
            ["nsenter", f"--mount=/proc/{state['pid']}/ns/mnt", "mknod", "-m", "666",
             root / "dev" / f"nvidia{name}", "c", "1", "3"],
            check=True,
        )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
