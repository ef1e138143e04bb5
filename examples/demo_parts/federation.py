"""`fedflow dev` as a child: a server and its agents, stopped whatever happens."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo_parts.setup import Setup

READY_S = 180
STOP_S = 150
POLL_S = 0.1
LOG_LINES = 20


class FederationError(Exception):
    """Server or agents did not do what the demo needs; the text says what."""


@dataclass(frozen=True, kw_only=True)
class Federation:
    """A running federation: where its server answers and who takes part."""

    address: str
    parties: tuple[str, ...]
    token_file: str
    ca: str
    check: Callable[[], None]
    """Raises FederationError, with the end of the log, if the federation has ended."""


@contextlib.contextmanager
def started_federation(folder: Path, setup: Setup) -> Iterator[Federation]:
    """Yield the federation once everything in it answers; all of it is gone afterwards.

    Raises:
        FederationError: it ended or did not get ready; with the end of its log.
    """
    state_dir, ready_file = folder / "state", folder / "ready.json"
    log_path = folder / "dev.log"
    with log_path.open("wb") as log:
        # Its own session: a Ctrl-C reaches this process alone, which then stops the child once.
        child = subprocess.Popen(
            dev_command(setup, state_dir=state_dir, ready_file=ready_file),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        ready = _ready(child, ready_file, log_path)
        yield Federation(
            address=ready["grpc"],
            parties=tuple(ready["parties"]),
            token_file=ready["token_file"],
            ca=ready["ca"],
            check=lambda: _check(child, log_path),
        )
    finally:
        _stop(child)


def dev_command(setup: Setup, *, state_dir: Path, ready_file: Path) -> list[str]:
    """Return the command line of the federation."""
    command = [
        *(sys.executable, "-m", "flow_server_sdk.cli"),
        # Should this process be killed, the federation is told to end.
        *(("--die-with-parent", str(os.getpid())) if sys.platform == "linux" else ()),
        "dev",
        *("--parties", str(len(setup.data))),
        *("--runtime", setup.runtime),
        *("--port", "0"),
        *("--state-dir", str(state_dir)),
        *("--ready-file", str(ready_file)),
    ]
    for share in setup.data:
        command += ["--party-data", f"{share.name}:digits={share}"]
    return command


def _ready(child: subprocess.Popen[bytes], ready_file: Path, log_path: Path) -> dict[str, Any]:
    deadline = time.monotonic() + READY_S
    while not ready_file.exists():
        # Nothing tells of a file but looking; the child's end is seen at the next look.
        _check(child, log_path)
        if time.monotonic() > deadline:
            raise FederationError(f"not ready after {READY_S} s:\n{_tail(log_path)}")
        time.sleep(POLL_S)
    ready: dict[str, Any] = json.loads(ready_file.read_text())
    return ready


def _check(child: subprocess.Popen[bytes], log_path: Path) -> None:
    if child.poll() is not None:
        raise FederationError(f"fedflow dev ended with {child.returncode}:\n{_tail(log_path)}")


def _stop(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is not None:
        return
    child.send_signal(signal.SIGINT)
    try:
        child.wait(STOP_S)
    except subprocess.TimeoutExpired:
        print(f"fedflow dev did not stop within {STOP_S} s: killing it", file=sys.stderr)
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _tail(log_path: Path) -> str:
    return "\n".join(log_path.read_text(errors="replace").splitlines()[-LOG_LINES:])
