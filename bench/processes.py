"""Server, agents and helpers as child processes, as users run them; all end with the bench."""

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flow_server.storage.embedded import home_in

READY_S = 180.0
STOP_S = 60.0
POLL_S = 0.05
ROOT = Path(__file__).resolve().parents[1]


class BenchError(Exception):
    """A process did not do what the measurement needs; the text says which, and its log's end."""


class Child:
    """A child process that speaks lines of JSON, if anything, and logs into a file."""

    def __init__(self, name: str, arguments: list[str], folder: Path) -> None:
        self.name = name
        self._log_path = folder / f"{name}.log"
        self._answers: queue.Queue[str | None] = queue.Queue()
        self._is_killed = False
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
                # A Ctrl-C reaches the bench alone, which ends its children itself.
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": f"{ROOT / 'sdk'}{os.pathsep}{ROOT}"},
            )
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def tell(self, message: dict[str, Any]) -> None:
        """Send one line."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()

    def hear(self, *, within_s: float = READY_S) -> dict[str, Any]:
        """Return the next line that it sent. Raises BenchError if none comes."""
        try:
            line = self._answers.get(timeout=within_s)
        except queue.Empty:
            raise self._error(f"said nothing for {within_s:.0f} s") from None
        if line is None:
            raise self._error("ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, message: dict[str, Any], *, within_s: float = READY_S) -> dict[str, Any]:
        """Send one line and return the answer."""
        self.tell(message)
        return self.hear(within_s=within_s)

    def ready(self, path: Path) -> dict[str, Any]:
        """Wait for the ready file and return what stands in it."""
        deadline_s = time.monotonic() + READY_S
        while not path.exists():
            # Nothing tells of a file but looking.
            if self._process.poll() is not None:
                raise self._error(f"ended with {self._process.returncode}")
            if time.monotonic() > deadline_s:
                raise self._error(f"was not ready after {READY_S:.0f} s")
            time.sleep(POLL_S)
        content: dict[str, Any] = json.loads(path.read_text())
        return content

    def kill(self) -> None:
        """End it as a power cut would, this process alone, and reap it."""
        self._process.kill()
        self._process.wait()
        self._is_killed = True

    def stop(self) -> None:
        """Ask it to end, and kill it if it does not."""
        if self._process.poll() is not None and not self._is_killed:
            print(f"{self.name} had ended with {self._process.returncode}", file=sys.stderr)
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put(None)

    def _error(self, what: str) -> BenchError:
        tail = "\n".join(self._log_path.read_text(errors="replace").splitlines()[-15:])
        return BenchError(f"{self.name} {what}\n{tail}")


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running flow server with its embedded PostgreSQL, durable as users get it."""

    child: Child
    host: str
    port: int
    state_dir: Path

    @property
    def address(self) -> str:
        """HOST:PORT of gRPC."""
        return f"{self.host}:{self.port}"

    @property
    def database_url(self) -> str:
        """The URL of its PostgreSQL."""
        return f"postgresql://postgres@/postgres?host={self.socket_dir}"

    @property
    def socket_dir(self) -> Path:
        """Where its PostgreSQL listens."""
        return home_in(self.state_dir) / "cluster"


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield a folder on a real disk, so that a commit costs what it costs.

    After a failure it stays, with everybody's log.
    """
    # /var/tmp by convention outlives a boot, so it is no memory file system.
    folder = Path(tempfile.mkdtemp(prefix="fedflow-bench-", dir="/var/tmp"))
    # PostgreSQL runs as another account where we are root.
    folder.chmod(0o711)
    try:
        yield folder
    except Exception:
        print(f"the logs are in {folder}", file=sys.stderr)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def fedflow() -> list[str]:
    """Return the beginning of a fedflow command that ends with the bench, however that ends."""
    return ["-m", "flow_server_sdk.cli", "--die-with-parent", str(os.getpid())]


def child(stack: contextlib.ExitStack, name: str, arguments: list[str], folder: Path) -> Child:
    """Start a process that ends with the stack."""
    started = Child(name, arguments, folder)
    stack.callback(started.stop)
    return started


@contextlib.contextmanager
def flow_server(folder: Path) -> Iterator[Server]:
    """Yield `fedflow server` with default settings, on free ports and a state folder of its own."""
    with contextlib.ExitStack() as stack:
        yield start_server(stack, folder)


def start_server(stack: contextlib.ExitStack, folder: Path, *, port: int = 0) -> Server:
    """Start `fedflow server` on the folder's database; port 0 is any free one."""
    state_dir, ready_file = folder / "server", folder / "server.json"
    ready_file.unlink(missing_ok=True)
    arguments = [*fedflow(), "server", "--insecure", "--port", str(port), "--http-port", "0"]
    arguments += ["--relay-port", "0"]
    arguments += ["--state-dir", str(state_dir), "--ready-file", str(ready_file)]
    started = child(stack, "server", arguments, folder)
    host, _, served_port = str(started.ready(ready_file)["grpc"]).rpartition(":")
    return Server(child=started, host=host, port=int(served_port), state_dir=state_dir)
