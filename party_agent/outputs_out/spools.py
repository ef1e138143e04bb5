"""The party runs of a site whose outputs the server does not have all of, by a folder for each."""

import threading
from pathlib import Path

from party_agent.outputs_out.caps import SiteCaps
from party_agent.outputs_out.spool import OutputSpool
from party_agent.settings import AgentSettings


class OutputSpools:
    """The folders below `folder`. All methods block on the disk, briefly; for several threads.

    A party run has a folder from before its workload begins until the server has said that it
    has everything, or wants nothing.
    """

    def __init__(self, folder: Path, caps: SiteCaps) -> None:
        self.caps = caps
        self._folder = folder
        self._open: dict[str, OutputSpool] = {}
        self._lock = threading.Lock()

    def expect(self, party_run_id: str) -> None:
        """Note that the party run may make something. May be repeated. Raises OSError."""
        (self._folder / party_run_id).mkdir(mode=0o700, parents=True, exist_ok=True)

    def names(self) -> list[str]:
        """Return the party runs that the server does not have everything of."""
        try:
            return sorted(path.name for path in self._folder.iterdir() if path.is_dir())
        except FileNotFoundError:
            return []

    def of(self, party_run_id: str) -> OutputSpool:
        """Return what the party run's workload sent. Raises OSError, ValueError."""
        with self._lock:
            known = self._open.get(party_run_id)
            if known is None:
                known = self._open[party_run_id] = OutputSpool(self._folder / party_run_id)
            return known

    @property
    def waiting_bytes(self) -> int:
        """How much of all party runs was sent and waits to leave."""
        with self._lock:
            known = list(self._open.values())
        return sum(spool.waiting_bytes for spool in known)

    def remove(self, party_run_id: str) -> None:
        """Forget a party run: the server has all of it."""
        spool = self.of(party_run_id)
        with self._lock:
            del self._open[party_run_id]
        spool.remove()

    def close(self) -> None:
        """Let go of the files; may be called twice."""
        with self._lock:
            for spool in self._open.values():
                spool.close()
            self._open.clear()


def output_spools_of(settings: AgentSettings) -> OutputSpools | None:
    """Return the site's, None for an agent that keeps nothing on disk."""
    if settings.state_dir is None:
        return None
    caps = SiteCaps(
        file_bytes=settings.output_bytes_per_file,
        run_bytes=settings.output_bytes_per_run,
        run_files=settings.output_files_per_run,
        waiting_bytes=settings.output_bytes_of_site,
    )
    return OutputSpools(settings.state_dir.absolute() / "uploads", caps)
