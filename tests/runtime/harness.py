"""What a runtime's tests must offer so that the behaviour suite can drive it."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from flow_contract.ids import new_id
from flow_contract.templates import Network, Resources
from party_agent.runtime.port import Bind, Runtime, RuntimeRefused, RuntimeUnavailable, Workload
from party_agent.workload_api.folder import SOCKET, TARGET, make_folder
from tests.workloads.pages import compiled

# Generous: the machine may be busy, and nothing waits this long when all is well.
DEADLINE_S = 60.0

# A workload of these scripts notes its start before it does anything else.
_NOTE_START = 'echo started >> "$FEDFLOW_OUTPUT_DIR/starts"; '


# A test's directory may have a path that no socket's address can hold.
_NEAR_SOCKET = 'cd "$(dirname "$FEDFLOW_API")"; export FEDFLOW_API=api.sock'


@dataclass(frozen=True, kw_only=True)
class Exit:
    """End with `code`; only after `Harness.release` if `when_released`."""

    code: int
    when_released: bool = False


@dataclass(frozen=True, kw_only=True)
class Die:
    """End by signal `signum`, sent by itself."""

    signum: int


@dataclass(frozen=True, kw_only=True)
class RunUntilStopped:
    """Run for ever; end at SIGTERM unless `ignores_term`."""

    ignores_term: bool = False


@dataclass(frozen=True, kw_only=True)
class Dump:
    """Write `env` (one NAME=value per line) and `pwd` into the output directory, then end."""


@dataclass(frozen=True, kw_only=True)
class Missing:
    """A command that does not exist."""


Script = Exit | Die | RunUntilStopped | Dump | Missing


def shell_command(script: Script) -> tuple[str, ...]:
    """Return `script` as a command for any system with a POSIX shell."""
    match script:
        case Exit(code=code, when_released=True):
            wait = 'while [ ! -e "$FEDFLOW_OUTPUT_DIR/go" ]; do sleep 0.05; done; '
            text = f"{_NOTE_START}{wait}exit {code}"
        case Exit(code=code):
            text = f"{_NOTE_START}exit {code}"
        case Die(signum=signum):
            text = f"{_NOTE_START}kill -{signum} $$"
        case RunUntilStopped(ignores_term=True):
            text = f"trap '' TERM; {_NOTE_START}while :; do sleep 1; done"
        case RunUntilStopped():
            text = f"{_NOTE_START}exec sleep 100000"
        case Dump():
            text = f'{_NOTE_START}env > "$FEDFLOW_OUTPUT_DIR/env"; pwd > "$FEDFLOW_OUTPUT_DIR/pwd"'
        case Missing():
            return ("/no/such/command", "with", "arguments")
    return ("sh", "-c", text)


class Harness(ABC):
    """Makes workloads and runtimes for one test, and cleans up after it."""

    image_url = "fedflow-test/any:1"
    # Set where the runtime knows images.
    missing_image_url: str | None = None
    # A directory that exists where the workload runs.
    workdir = "/tmp"  # noqa: S108 - it is only looked at

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: list[str] = []

    @abstractmethod
    def new_runtime(self) -> Runtime:
        """Return a further instance over the same state, not opened: the restarted agent."""

    def command(self, script: Script) -> tuple[str, ...]:
        """Return `script` as this runtime's command."""
        return shell_command(script)

    def output(self, party_run_id: str) -> Path:
        """Return the host directory that the workload sees as its output directory."""
        return self.folder / "outputs" / party_run_id

    def workload(
        self,
        script: Script,
        *,
        image_url: str = "",
        workdir: str = "",
        env: dict[str, str] | None = None,
        resources: Resources | None = None,
        gpu_ids: tuple[str, ...] = (),
    ) -> Workload:
        """Return a new workload that does `script`."""
        party_run_id = new_id()
        self.made.append(party_run_id)
        output = self.output(party_run_id)
        output.mkdir(parents=True)
        output.chmod(0o777)
        return Workload(
            party_run_id=party_run_id,
            image_url=image_url or self.image_url,
            workdir=workdir or self.workdir,
            command=self.command(script),
            env={"FEDFLOW_OUTPUT_DIR": "/output", **(env or {})},
            binds=(Bind(source=output, target="/output", writable=True),),
            resources=resources or Resources(),
            gpu_ids=gpu_ids,
            user="",
            network=Network.NONE,
            labels={"fedflow.test": "behaviour"},
        )

    def reporting(self, *, epochs: int) -> Workload:
        """Return a workload that reports so many epochs to its agent, and then ends."""
        workload = self.workload(Exit(code=0))
        program = compiled(self.output(workload.party_run_id))
        env = {"FEDFLOW_API": f"{TARGET}/{SOCKET}", "FEDFLOW_EPOCHS": str(epochs)}
        made = make_folder(self.folder / "a" / "api", workload.party_run_id)
        return replace(
            workload,
            command=("sh", "-c", f'{_NEAR_SOCKET}; exec "$FEDFLOW_OUTPUT_DIR/{program.name}"'),
            env={**workload.env, **env},
            binds=(*workload.binds, Bind(source=made, target=TARGET, is_agents=True)),
        )

    def release(self, party_run_id: str) -> None:
        """Let a workload that waits for its release end."""
        (self.output(party_run_id) / "go").touch()

    def starts(self, party_run_id: str) -> int:
        """Say how often a workload's first instruction has run."""
        notes = self.output(party_run_id) / "starts"
        return len(notes.read_text().splitlines()) if notes.exists() else 0

    @abstractmethod
    def ended(self, party_run_id: str) -> bool:
        """Say whether the workload has ended, found out without the runtime under test."""

    @abstractmethod
    async def leftovers(self, party_run_id: str) -> list[str]:
        """Name whatever of the workload is still on the machine, outputs left aside."""

    async def aclose(self) -> None:
        """Leave nothing of this test's workloads behind, whatever the test did."""
        runtime = self.new_runtime()
        await runtime.open()
        try:
            for party_run_id in self.made:
                with suppress(RuntimeRefused, RuntimeUnavailable):
                    await runtime.stop(party_run_id, 0)
                    await runtime.remove(party_run_id)
        finally:
            await runtime.aclose()


async def until(happened: Callable[[], object]) -> None:
    """Return once `happened()` is true; for what only the file system can tell."""
    async with asyncio.timeout(DEADLINE_S):
        while not happened():  # noqa: ASYNC110 - files give no event
            await asyncio.sleep(0.01)
