"""A Docker Engine of our own, to be killed, stopped and started again like any other part."""

import contextlib
import os
import signal
import time
from pathlib import Path

import docker

from tests.chaos.images import hand_over
from tests.engine import connect_or_skip
from tests.gpu.second_engine import STOP_S, SecondEngine


class PrivateEngine(SecondEngine):
    """One that nobody else uses; its client is only for before it is hurt."""

    def __init__(self) -> None:
        super().__init__(gpu_count=0)
        with contextlib.closing(connect_or_skip()) as everybodys:
            hand_over(everybodys, self.client.api)

    def connect_api(self) -> docker.APIClient:
        """Return a client of the engine; the caller closes it.

        Raises:
            DockerException: it does not answer at present.
        """
        return docker.APIClient(base_url=self.url, version="auto", timeout=120)

    def strike(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def ended(self) -> None:
        """Block until it has ended, which somebody must have seen to."""
        if self.process is not None:
            self.process.wait(STOP_S)
        self._end_containerd()

    def restart(self) -> None:
        """Start it again, and block until it answers."""
        if self.process is not None and self.process.poll() is None:
            return
        self.spawn()
        self.connect().close()

    def _end_containerd(self) -> None:
        # The next engine would take one that nobody has reaped yet for a running one.
        noted = self.folder / "exec/containerd/containerd.pid"
        if not noted.exists():
            return
        stat = Path(f"/proc/{noted.read_text().strip()}/stat")
        deadline = time.monotonic() + STOP_S
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            while stat.read_text().rpartition(")")[2].split()[0] != "Z":
                os.kill(int(stat.parent.name), signal.SIGKILL)
                assert time.monotonic() < deadline, f"{stat.parent.name} does not end"
                time.sleep(0.01)
        noted.unlink(missing_ok=True)

    def close(self) -> None:
        """Leave nothing of it, whatever state it is in."""
        self.strike(signal.SIGCONT)
        if self.process is not None and self.process.poll() is not None:
            self.restart()
        super().close()
