"""What a place's workloads left on this machine: to be found by the oracle, and to be ended."""

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

import docker

from tests.chaos.place import Place
from tests.engine import connect_or_skip


def workload_processes(folder: Path) -> dict[int, bytes]:
    """Return the processes of workloads below `folder`, by the mark in their environment."""
    mark = f"FEDFLOW_SCRATCH_DIR={folder}/".encode()
    found = {}
    for path in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if path.name.isdecimal() and mark in (path / "environ").read_bytes():
                found[int(path.name)] = (path / "cmdline").read_bytes()
    return found


def containers_of(client: docker.APIClient, place: Place) -> list[dict[str, Any]]:
    """Return the containers of this place's agents, workloads and sandboxes."""
    keys = {site.key for site in place.sites}
    found = client.containers(all=True, filters={"label": "io.fedflow.agent"})
    return [each for each in found if each["Labels"]["io.fedflow.agent"] in keys]


def remove_all(place: Place) -> None:
    """End what a schedule that failed left running."""
    for pid in workload_processes(place.folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if place.kind.runtime == "docker":
        client = connect_or_skip()
        for each in containers_of(client, place):
            with contextlib.suppress(docker.errors.APIError):
                client.remove_container(each["Id"], force=True)
        client.close()
