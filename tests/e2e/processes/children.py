"""`fedflow` as child processes: the real command line, its log in a file, ended for sure."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[3]

# Generous: the machine may be busy, and nothing waits this long when all is well.
DEADLINE_S = 90
_POLL_S = 0.02


def environment(**settings: object) -> dict[str, str]:
    """Return this process's environment without its own Fedflow settings, and with `settings`."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("FEDFLOW_")}
    paths = os.pathsep.join([str(ROOT / "sdk"), str(ROOT)])
    return {**own, "PYTHONPATH": paths} | {name: str(value) for name, value in settings.items()}


def command(*arguments: object) -> list[str]:
    """Return a `fedflow` command line whose process does not outlive this one."""
    start = [sys.executable, "-m", "flow_server_sdk.cli", "--die-with-parent", str(os.getpid())]
    return start + [str(argument) for argument in arguments]


def run(
    *arguments: object, given: str = "", **settings: object
) -> subprocess.CompletedProcess[str]:
    """Run a `fedflow` that is expected to end by itself, with `given` on its standard input."""
    return subprocess.run(
        command(*arguments),
        env=environment(**settings),
        input=given,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


class Child:
    """One `fedflow` process at a time; `start` again after it has ended goes on in the same log.

    `within` is a command that starts another elsewhere, such as in a network of its own.
    """

    within: tuple[str, ...] = ()

    def __init__(self, folder: Path, **settings: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._ready_file = folder / "ready.json"
        self._log_file = folder / "log"

    @property
    def log(self) -> str:
        """All that it wrote to stderr so far."""
        return self._log_file.read_text()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def launch(self, *arguments: object) -> None:
        """Start it and don't wait until it is ready."""
        assert not self.is_running
        self._ready_file.unlink(missing_ok=True)
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*self.within, *command(*arguments, "--ready-file", self._ready_file)],
                env=environment(**self._settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def ready(self) -> dict[str, str]:
        """Wait until it says that it is ready; return what it says."""
        until(lambda: self._ready_file.exists() or not self.is_running, lambda: self.log)
        assert self._ready_file.exists(), self.log
        found: dict[str, str] = json.loads(self._ready_file.read_text())
        return found

    def logged(self, words: str) -> None:
        """Wait until its log holds `words`."""
        until(lambda: words in self.log, lambda: self.log)

    def kill(self) -> None:
        """End it as a crash would; nothing happens to one that has ended."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(DEADLINE_S)

    def ask(self) -> None:
        """Ask it to end and don't wait until it has."""
        if self._process is not None:
            self._process.terminate()

    def ended(self) -> int:
        """Wait for its end; return its exit code."""
        assert self._process is not None
        return self._process.wait(DEADLINE_S)

    def terminate(self) -> int:
        """Ask it to end; return its exit code."""
        self.ask()
        return self.ended()

    def close(self) -> None:
        """End it in order if it runs, or else by force."""
        if not self.is_running:
            return
        try:
            assert self.terminate() == 0, self.log
        finally:
            self.kill()


def until(condition, say=lambda: "") -> None:
    """Wait until `condition()` holds; `say()` tells what there is instead."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, say()
        time.sleep(_POLL_S)


def processes_that_name(path: str) -> list[str]:
    """Return the command lines of the processes that have `path` there or in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
        except OSError:
            continue  # ended meanwhile, or somebody else's
        if any(path.encode() in text for text in words):
            found.append(words[0].replace(b"\0", b" ").decode(errors="replace"))
    return found
