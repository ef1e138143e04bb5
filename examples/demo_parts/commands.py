"""`fedflow` as a user of the federation calls it: on this terminal, or for its answer."""

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from demo_parts.federation import Federation, FederationError

LOOK_S = 1.0


class Commands:
    """Runs commands against a federation."""

    def __init__(self, federation: Federation) -> None:
        self._federation = federation
        self._environment = {
            **os.environ,
            "FEDFLOW_SERVER": federation.address,
            "FEDFLOW_TOKEN_FILE": federation.token_file,
            "FEDFLOW_CA": federation.ca,
        }

    def show(self, *arguments: str) -> int:
        """Run a command on this terminal; return its exit code.

        Raises:
            FederationError: the federation ended before it; a watch would wait for its return.
        """
        print(f"\n$ fedflow {shlex.join(arguments)}", flush=True)
        with _left_to_the_child():
            child = subprocess.Popen(_command(arguments), env=self._environment)
            try:
                while True:
                    try:
                        return child.wait(LOOK_S)
                    except subprocess.TimeoutExpired:
                        self._federation.check()
            except BaseException:
                child.terminate()
                child.wait()
                raise

    def answer(self, *arguments: str) -> Any:
        """Return a command's JSON. Raises FederationError with its words if it failed."""
        done = subprocess.run(
            _command((*arguments, "--json")),
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise FederationError(done.stderr.strip())
        return json.loads(done.stdout)


def _command(arguments: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", "flow_server_sdk.cli", *arguments]


@contextmanager
def _left_to_the_child() -> Iterator[None]:
    """On a terminal leave Ctrl-C to the command, which has a question to ask."""
    is_typed = sys.stdin.isatty() and threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if is_typed else None
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)
