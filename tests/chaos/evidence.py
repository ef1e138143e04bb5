"""How often a workload started and how it ended, by whoever ran it and not by Fedflow's rows."""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from tests.chaos.place import Place
from tests.chaos.steps import DiskLog, EngineLog

# SIGKILL and SIGTERM, as every engine reports them.
_BY_SIGNAL = frozenset({137, 143})
_NEVER = frozenset({None})
# What an engine says of a container that ended while it was not there itself.
_UNSEEN = 255


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """`exit_codes` are those that the record may show: one, where the witness knows it."""

    starts: int
    exit_codes: frozenset[int | None]

    def or_unknown(self) -> "Evidence":
        """Return it for a workload whose runtime was hurt: the code may be lost with it."""
        return replace(self, exit_codes=self.exit_codes | _NEVER | _BY_SIGNAL | {_UNSEEN})


def engine_evidence(log: EngineLog, party_run_id: str) -> Evidence:
    """Return what the engine's event log says."""
    deaths = log.of(party_run_id, "die")
    return Evidence(
        starts=len(log.of(party_run_id, "start")),
        exit_codes=frozenset(event.exit_code for event in deaths) or _NEVER,
    )


def process_evidence(output: Path) -> Evidence:
    """Return what the process itself wrote: a line as it began, its exit code as it ended.

    One that a signal ended wrote no code, or was ended between the writing and its exit; one
    that was ended before its first line left nothing.
    """
    try:
        starts = len((output / "starts").read_text().splitlines())
    except FileNotFoundError:
        return Evidence(starts=0, exit_codes=_NEVER | _BY_SIGNAL)
    try:
        said = frozenset({int((output / "exit").read_text())})
    except (FileNotFoundError, ValueError):
        said = frozenset()
    return Evidence(starts=starts, exit_codes=said | _BY_SIGNAL)


def started_twice(log: EngineLog | DiskLog, place: Place) -> list[str]:
    """Return the party runs that started more than once, whether a row still knows them or not."""
    if isinstance(log, EngineLog):
        starts = Counter(event.party_run_id for event in log.events if event.action == "start")
        return [party_run_id for party_run_id, count in starts.items() if count > 1]
    return [
        path.parent.name
        for site in place.sites
        for path in (site.state_dir / "outputs").glob("*/starts")
        if process_evidence(path.parent).starts > 1
    ]
