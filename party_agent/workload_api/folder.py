"""The directory that a workload sees at /fedflow: the socket, and flow_worker to import."""

import importlib.util
import shutil
import socket
from contextlib import suppress
from pathlib import Path

from flow_contract import ids
from party_agent.runtime.unix_listener import listen_in

TARGET = "/fedflow"
SOCKET = "api.sock"
PYTHON = "python"
_PACKAGE = "flow_worker"

# Workloads are other users than the agent; the directory's own name is a secret id below a
# directory that nobody may list.
_PASSED, _LISTED, _READ = 0o711, 0o755, 0o644


def make_folder(root: Path, party_run_id: str) -> Path:
    """Make the party run's directory below `root`, and return it; may be repeated."""
    folder = root / party_run_id
    if folder.is_dir():
        return folder
    root.mkdir(mode=_PASSED, parents=True, exist_ok=True)
    root.chmod(_PASSED)
    # Whole or not at all: a crash half-way leaves what `remove_others` finds.
    draft = root / f".{party_run_id}.{ids.new_id()}"
    draft.mkdir()
    _copy_package(draft / PYTHON)
    draft.chmod(_LISTED)
    try:
        draft.rename(folder)
    except OSError:
        # Somebody else was faster.
        shutil.rmtree(draft, ignore_errors=True)
        if not folder.is_dir():
            raise
    return folder


def remove_folder(root: Path, party_run_id: str) -> None:
    """Remove the party run's directory; nothing there is fine."""
    shutil.rmtree(root / party_run_id, ignore_errors=True)


def remove_others(root: Path, known: frozenset[str]) -> None:
    """Remove the directories of party runs that are not `known`, as a crash may leave them."""
    with suppress(FileNotFoundError):
        for entry in list(root.iterdir()):
            if entry.name not in known:
                shutil.rmtree(entry, ignore_errors=True)


def listen(folder: Path) -> socket.socket:
    """Return a socket that listens in `folder`, in the place of one that an earlier agent left.

    Raises:
        OSError: it can't be made.
    """
    return listen_in(folder, SOCKET)


def _copy_package(target: Path) -> None:
    """Copy flow_worker, if it is installed beside the agent: not imported, for it is no part."""
    target.mkdir()
    target.chmod(_LISTED)
    found = importlib.util.find_spec(_PACKAGE)
    places = (found.submodule_search_locations if found else None) or ()
    for place in places:
        package = target / _PACKAGE
        package.mkdir(exist_ok=True)
        package.chmod(_LISTED)
        for source in Path(place).glob("*.py"):
            copy = package / source.name
            shutil.copyfile(source, copy)
            copy.chmod(_READ)
