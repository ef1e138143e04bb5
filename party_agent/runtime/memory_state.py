"""What the memory runtime's workloads are doing; outlives runtime instances, as an engine does.

Invariant: a workload that ended keeps its code and times until it is forgotten, and its
first instruction runs at most once.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from party_agent.runtime.memory_sockets import Loopback
from party_agent.runtime.port import Observation, Phase, Workload
from party_agent.runtime.script import End, Script, parse

_SIGTERM_CODE = 143


@dataclass(slots=True)
class MemoryWorkload:
    """One scripted workload; idle ones hold no task, no thread and no timer."""

    workload: Workload
    script: Script
    seen: Observation
    timer: asyncio.TimerHandle | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class MemoryState:
    """The scripted engine of one site.

    `images` None means that it has every image; otherwise others are refused. `starts` counts
    by party-run id how often a first instruction ran, and keeps counting what was removed.
    """

    def __init__(
        self,
        *,
        images: frozenset[str] | None = None,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self.images = images
        self.workloads: dict[str, MemoryWorkload] = {}
        self.starts: dict[str, int] = {}
        self.loopback = Loopback()
        self.listeners: list[Callable[[str], None]] = []
        self._now = now
        self._fired: set[str] = set()
        self._may_prepare: dict[str, asyncio.Event] = {}

    def fire(self, event: str) -> None:
        """Let everything end that waits for `event`, now and later."""
        self._fired.add(event)
        for party_run_id, entry in list(self.workloads.items()):
            if entry.script.event == event and entry.seen.phase is Phase.RUNNING:
                self.end(party_run_id, entry.script.exit_code)

    def let_prepare(self, party_run_id: str) -> None:
        """Let a prepare that is or will be held go on."""
        self.may_prepare(party_run_id).set()

    def may_prepare(self, party_run_id: str) -> asyncio.Event:
        """Return the event that a held prepare waits for."""
        return self._may_prepare.setdefault(party_run_id, asyncio.Event())

    def add(self, workload: Workload) -> None:
        """Make a prepared workload, or leave the one that there is."""
        if workload.party_run_id not in self.workloads:
            self.workloads[workload.party_run_id] = MemoryWorkload(
                workload=workload,
                script=parse(workload.command),
                seen=Observation(party_run_id=workload.party_run_id, phase=Phase.PREPARED),
            )

    def start(self, party_run_id: str) -> Observation:
        """Run a prepared workload's first instruction; otherwise only say how it is."""
        entry = self.workloads[party_run_id]
        if entry.seen.phase is not Phase.PREPARED:
            return entry.seen
        self.starts[party_run_id] = self.starts.get(party_run_id, 0) + 1
        started = Observation(
            party_run_id=party_run_id, phase=Phase.RUNNING, started_at=self._now()
        )
        entry.seen = started
        script = entry.script
        if script.end is End.DUMP:
            _dump(entry.workload)
        if script.ends_by_itself:
            self._arrange_end(party_run_id, entry)
        return started

    def _arrange_end(self, party_run_id: str, entry: MemoryWorkload) -> None:
        script = entry.script
        if script.event is not None and script.event not in self._fired:
            return
        loop = asyncio.get_running_loop()
        entry.timer = loop.call_later(script.after_s or 0, self.end, party_run_id, script.exit_code)

    def ask_to_end(self, party_run_id: str) -> None:
        """Send SIGTERM: whoever is not stubborn ends at once."""
        if self.workloads[party_run_id].script.end is not End.STUBBORN:
            self.end(party_run_id, _SIGTERM_CODE)

    def end(self, party_run_id: str, exit_code: int | None) -> None:
        """End a running workload; anything else is left as it is."""
        entry = self.workloads.get(party_run_id)
        if entry is None or entry.seen.phase is not Phase.RUNNING:
            return
        if entry.timer is not None:
            entry.timer.cancel()
            entry.timer = None
        entry.seen = Observation(
            party_run_id=party_run_id,
            phase=Phase.EXITED,
            exit_code=exit_code,
            started_at=entry.seen.started_at,
            finished_at=None if exit_code is None else self._now(),
        )
        entry.ended.set()
        for listener in list(self.listeners):
            listener(party_run_id)

    def forget(self, party_run_id: str) -> None:
        """Drop a workload that does not run; one that is not there is fine."""
        self.workloads.pop(party_run_id, None)
        self._may_prepare.pop(party_run_id, None)
        self.loopback.forget(party_run_id)


def _dump(workload: Workload) -> None:
    for bind in workload.binds:
        if bind.target == "/output":
            lines = "".join(f"{name}={value}\n" for name, value in workload.env.items())
            Path(bind.source, "env").write_text(lines)
            Path(bind.source, "pwd").write_text(f"{workload.workdir}\n")
