"""What the server should make of reports, stops, absences and deadlines: the rules, once more.

Written from the task model's page, not from the code: no table of the contract is used here.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

RANK = {"pending": 0, "preparing": 1, "prepared": 2, "launching": 3, "running": 4}
FINAL = ("succeeded", "failed", "stopped", "refused")


@dataclass(kw_only=True)
class Share:
    """One party run as the server knows it."""

    state: str = "pending"
    sequence: int = 0

    def may_become(self, state: str) -> bool:
        if self.state in FINAL or state == "lost":
            return False
        if self.state == "lost":
            return state != "pending"
        if state in FINAL:
            return state != "refused" or RANK[self.state] < RANK["launching"]
        return RANK[state] > RANK[self.state]


@dataclass(kw_only=True)
class Run:
    """`waits`: some party was not connected at the start, and has not been heard of since."""

    shares: dict[str, Share]
    waits: set[str] = field(default_factory=set)
    status: str = "Started"
    desired: str = "prepared"
    launched: bool = False
    cancelled: bool = False
    connect_deadline_passed: bool = False
    prepare_deadline_passed: bool = False

    @classmethod
    def accepted(cls, named: Iterable[str], waits: set[str]) -> Self:
        status = "Pending" if waits else "Started"
        return cls(shares={party: Share() for party in named}, waits=waits, status=status)

    @classmethod
    def refused(cls, named: Iterable[str], draining: set[str]) -> Self:
        """One that a draining party refused: kept for the history, and nobody hears of it."""
        ends = {party: "refused" if party in draining else "stopped" for party in named}
        shares = {party: Share(state=end) for party, end in ends.items()}
        return cls(shares=shares, status="Failed", desired="stopped")

    def report(self, party: str, state: str, sequence: int) -> None:
        share = self.shares[party]
        if sequence > share.sequence and (state == share.state or share.may_become(state)):
            share.state, share.sequence = state, sequence
            self.waits.discard(party)
            self.fold()

    def stop(self) -> None:
        if self.desired != "stopped":
            self.desired, self.cancelled = "stopped", True

    def sweep(self, absent: set[str]) -> None:
        if self.desired == "prepared" and self.prepare_deadline_passed:
            self.desired = "stopped"
        for party in absent & {name for name, each in self.shares.items() if self.is_open(each)}:
            share = self.shares[party]
            if self.launched:
                share.state = "lost"
            elif self.desired == "stopped":
                share.state = "stopped"
            elif self.connect_deadline_passed:
                share.state = "refused"
            else:
                continue
            self.waits.discard(party)
        self.fold()

    @staticmethod
    def is_open(share: Share) -> bool:
        return share.state not in (*FINAL, "lost")

    def fold(self) -> None:
        states = [share.state for share in self.shares.values()]
        ended = [state in FINAL for state in states]
        if self.desired == "prepared" and any(ended):
            self.desired = "stopped"
        if self.desired == "prepared" and set(states) == {"prepared"}:
            self.desired, self.launched = "running", True
        if all(ended):
            succeeded = set(states) == {"succeeded"}
            self.status = "Succeeded" if succeeded else "Failed"
            if self.cancelled:
                self.status = "Cancelled"
        elif "lost" in states:
            self.status = "Unknown"
        elif not set(states) & set(RANK) - {"running"}:
            self.status = "Running"
        elif set(states) != {"pending"} or self.waits or self.status != "Started":
            self.status = "Pending"
