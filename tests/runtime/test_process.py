import os
from pathlib import Path

import pytest

from party_agent.runtime import process_spec, supervisor
from party_agent.runtime.port import Runtime
from party_agent.runtime.process import ProcessRuntime
from tests.runtime.harness import Harness
from tests.runtime.suite import RuntimeBehaviour


def processes_of(folder: Path) -> list[int]:
    """Return the pids of all live processes that carry the scratch directory's mark."""
    mark = f"{process_spec.MARK}={folder}".encode()
    found = []
    for pid in supervisor.process_ids():
        try:
            if mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.append(pid)
        except OSError:
            continue
    return found


class ProcessHarness(Harness):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.state_dir = folder / "state"

    def new_runtime(self) -> Runtime:
        return ProcessRuntime(self.state_dir, environ=os.environ)

    def ended(self, party_run_id: str) -> bool:
        return (self.state_dir / party_run_id / supervisor.ENDED).exists()

    async def leftovers(self, party_run_id: str) -> list[str]:
        folders = [path.name for path in self.state_dir.iterdir() if party_run_id in path.name]
        return folders + [str(pid) for pid in processes_of(self.state_dir / party_run_id)]


@pytest.fixture
async def harness(tmp_path):
    harness = ProcessHarness(tmp_path)
    yield harness
    await harness.aclose()


class TestProcessRuntime(RuntimeBehaviour):
    pass
