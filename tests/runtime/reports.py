"""The agent's end of one workload's socket, for runtimes to be tried with."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from party_agent.outputs_out.caps import SiteCaps
from party_agent.outputs_out.spools import OutputSpools
from party_agent.outputs_out.taking import OutputTaking
from party_agent.unit import SelfReport
from party_agent.workload_api.host import ApiHost
from tests.agent.fakes import EVERYTHING, make_spec


class Reports:
    """What one workload of a harness reports, while this is entered."""

    def __init__(self, folder: Path, party_run_id: str) -> None:
        caps = SiteCaps(file_bytes=1000, run_bytes=1000, run_files=10, waiting_bytes=1000)
        taking = OutputTaking(OutputSpools(folder / "a" / "uploads", caps), lambda: EVERYTHING)
        self._host = ApiHost(folder / "a", lambda: datetime.now(UTC), more=taking.routes)
        self._party_run_id = party_run_id
        self.says = SelfReport()

    async def __aenter__(self) -> Self:
        await self._host.serve(make_spec(self._party_run_id), self._hear, EVERYTHING)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._host.aclose()

    @property
    def values(self) -> list[float]:
        """The values of all points so far."""
        return list(self._host._spools[self._party_run_id].next_batch().points.values)

    def _hear(self, says: SelfReport) -> None:
        self.says = says
