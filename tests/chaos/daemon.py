"""One process of ours that may be killed, stopped and started again at any moment."""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_POLL_S = 0.02
START_S = 120.0
END_S = 60.0


class Daemon:
    """`fedflow ARGUMENTS`, started again like any service when it ends unasked.

    `surprises` holds the exit code of every end that nobody asked for. It is told SIGINT when
    this process ends, however it ends.
    """

    def __init__(self, name: str, arguments: list[str], env: dict[str, str], folder: Path) -> None:
        self.name = name
        self.ready_file = folder / f"{name}.ready"
        self.log = folder / f"{name}.log"
        self.surprises: list[int] = []
        # What the next start is told besides.
        self.more: tuple[str, ...] = ()
        self._arguments = [*arguments, "--ready-file", str(self.ready_file)]
        self._env = {**os.environ, **env, "PYTHONPATH": f"{ROOT / 'sdk'}{os.pathsep}{ROOT}"}
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._wanted = False

    async def start(self) -> None:
        if self._wanted:
            return
        self._wanted = True
        await self._spawn()
        self._keeper = asyncio.create_task(self._keep())

    async def ready(self) -> None:
        """Return once it says that it serves, or is connected."""
        async with asyncio.timeout(START_S):
            # Written by another process, which has no other way to say so.
            while not self.is_ready:  # noqa: ASYNC110
                await asyncio.sleep(_POLL_S)

    @property
    def is_ready(self) -> bool:
        return self.ready_file.exists()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self._process.returncode is None else None

    def strike(self, number: signal.Signals) -> None:
        """Send a signal that is meant to end it."""
        self._wanted = False
        self.signal(number)
        if number is not signal.SIGKILL:
            self.signal(signal.SIGCONT)

    async def ended(self) -> None:
        """Return when it has ended, which somebody must have seen to."""
        if self._keeper is not None:
            # Whoever waits may be cancelled; who keeps it must not be, or nobody would.
            await asyncio.wait({self._keeper})
            keeper, self._keeper = self._keeper, None
            keeper.result()

    async def end(self, number: signal.Signals, *, within_s: float = END_S) -> bool:
        """Return whether it ended by itself in time; killed where it didn't."""
        self.strike(number)
        try:
            async with asyncio.timeout(within_s):
                await self.ended()
        except TimeoutError:
            self.signal(signal.SIGKILL)
            await self.ended()
            return False
        return True

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def _spawn(self) -> None:
        self.ready_file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "flow_server_sdk.cli"]
        command += ["--die-with-parent", str(os.getpid())]
        command += [*self._arguments, *self.more]
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                cwd=ROOT,
                env=self._env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def _keep(self) -> None:
        while self._process is not None:
            code = await self._process.wait()
            self.ready_file.unlink(missing_ok=True)
            if not self._wanted:
                return
            self.surprises.append(code)
            await asyncio.sleep(_POLL_S)
            await self._spawn()
