"""What a place's workloads left on this machine: to be found by the oracle, and to be ended."""

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

import docker

from tests.chaos.place import Place, Site
from tests.engine import connect_or_skip


def workload_processes(folder: Path) -> dict[int, bytes]:
    """Return the processes of workloads below `folder`, by the mark in their environment."""
    mark = f"FEDFLOW_SCRATCH_DIR={folder}/".encode()
    found = {}
    for path in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if path.name.isdecimal() and mark in (path / "environ").read_bytes():
                found[int(path.name)] = (path / "cmdline").read_bytes()[:100]
    return found


def supervisors(workloads: Path) -> dict[int, str]:
    """Return the process runtime's supervisors of one site: pid to party run."""
    found = {}
    for path in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            words = (path / "cmdline").read_bytes().decode(errors="replace").split("\0")
            for word in words if any("supervisor.py" in word for word in words) else ():
                if Path(word).parent == workloads:
                    found[int(path.name)] = Path(word).name
    return found


def containers_at(client: docker.APIClient, site: Site) -> list[dict[str, Any]]:
    """Return the containers of one site's agent, workloads and sandboxes."""
    return client.containers(all=True, filters={"label": f"io.fedflow.agent={site.key}"})


def unsent_outputs(site: Site) -> set[str]:
    """Return the party runs whose outputs the site's agent has not let go of."""
    folder = site.state_dir / "uploads"
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def remove_all(place: Place) -> None:
    """End what a schedule that failed left running."""
    for pid in workload_processes(place.folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    # The private engine takes its own with it.
    if place.kind.runtime == "docker":
        with contextlib.closing(connect_or_skip()) as client:
            for site in place.sites:
                for each in containers_at(client, site):
                    with contextlib.suppress(docker.errors.APIError):
                        client.remove_container(each["Id"], force=True)
