"""Reports that the server has not yet acknowledged: the newest of each party run.

At least once: what was sent on a connection that ended is sent again on the next. The sequence
numbers come from the journal, so they grow across restarts too.
"""

import asyncio

from flow_contract.assignments import Report

MAX_BATCH = 500
# Turns of the event loop, not time: an agent that has nothing else to do waits for nothing.
LINGER_TURNS = 8


class Reporter:
    """A buffer between the units, which offer, and the link, which sends.

    Invariant: an older report never follows a newer one of the same party run.
    """

    def __init__(self) -> None:
        self._unacked: dict[str, Report] = {}
        self._unsent: dict[str, None] = {}
        self._has_unsent = asyncio.Event()
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    def offer(self, report: Report) -> None:
        """Take over a report; it replaces an older one that still waits."""
        known = self._unacked.get(report.party_run_id)
        if known is not None and known.sequence >= report.sequence:
            return
        self._unacked[report.party_run_id] = report
        self._unsent[report.party_run_id] = None
        self._has_unsent.set()
        self._is_empty.clear()

    def reconnected(self) -> None:
        """Send everything unacknowledged again: nobody knows what the last connection brought."""
        self._unsent = dict.fromkeys(self._unacked)
        if self._unsent:
            self._has_unsent.set()

    async def next_batch(self) -> list[Report]:
        """Wait until there is something to send and return it, MAX_BATCH at most; one consumer."""
        await self._has_unsent.wait()
        # Let the units that are ready take their next steps, so that one message carries them all.
        for _ in range(LINGER_TURNS):
            await asyncio.sleep(0)
        names = list(self._unsent)[:MAX_BATCH]
        for name in names:
            del self._unsent[name]
        if not self._unsent:
            self._has_unsent.clear()
        return [self._unacked[name] for name in names]

    def awaiting(self) -> frozenset[tuple[str, int]]:
        """Return the (party run, sequence) of what was sent and not yet acknowledged."""
        return frozenset(
            (name, report.sequence)
            for name, report in self._unacked.items()
            if name not in self._unsent
        )

    def acknowledge(self, party_run_id: str, sequence: int) -> None:
        """Let go of the report if it is not newer than `sequence`; an unknown one is fine."""
        known = self._unacked.get(party_run_id)
        if known is not None and known.sequence <= sequence:
            self.withdraw(party_run_id)

    def withdraw(self, party_run_id: str) -> None:
        """Let go of the report of a party run that nobody asks about any more."""
        self._unacked.pop(party_run_id, None)
        self._unsent.pop(party_run_id, None)
        if not self._unsent:
            self._has_unsent.clear()
        if not self._unacked:
            self._is_empty.set()

    @property
    def unacknowledged(self) -> int:
        """How many party runs' newest reports the server has not acknowledged."""
        return len(self._unacked)

    async def drained(self) -> None:
        """Return when everything offered so far has been acknowledged."""
        await self._is_empty.wait()
