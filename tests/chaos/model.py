"""What the server should make of reports, stops, absences and deadlines: the rules, once more.

Written from the task model's page, not from the code: no table of the contract is used here.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

RANK = {"pending": 0, "preparing": 1, "prepared": 2, "launching": 3, "running": 4}
FINAL = ("succeeded", "failed", "stopped", "refused")
COORDINATOR = "coordinator"
COORDINATED = ("after_parties", "by_itself", "decides")
KINDS = ("none", "mesh", *COORDINATED)


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
    """`shares` are by member: parties by id, and the coordinator, which is at `place`.

    `kind` is what one's end means for the others. `waits`: some member's agent was not connected
    at the start, and has not been heard of since.
    """

    shares: dict[str, Share]
    kind: str = "none"
    place: str = ""
    waits: set[str] = field(default_factory=set)
    status: str = "Started"
    desired: str = "prepared"
    launched: bool = False
    cancelled: bool = False
    peer_failed: bool = False
    connect_deadline_passed: bool = False
    prepare_deadline_passed: bool = False

    @classmethod
    def accepted(cls, named: Iterable[str], away: set[str], kind: str, place: str) -> Self:
        run = cls(shares={party: Share() for party in named}, kind=kind, place=place)
        if kind in COORDINATED:
            run.shares[COORDINATOR] = Share()
        run.waits = {member for member in run.shares if run.site(member) in away}
        run.status = "Pending" if run.waits else "Started"
        return run

    @classmethod
    def refused(cls, named: Iterable[str], draining: set[str], kind: str, place: str) -> Self:
        """One that a draining party refused: kept for the history, and nobody hears of it."""
        run = cls.accepted(named, set(), kind, place)
        run.status, run.desired = "Failed", "stopped"
        for member, share in run.shares.items():
            # Without any place it is refused as well.
            site = run.site(member)
            share.state = "refused" if site in draining or not site else "stopped"
        return run

    def site(self, member: str) -> str:
        """Return at which party the member is."""
        return self.place if member == COORDINATOR else member

    def members_at(self, party: str) -> list[str]:
        return [member for member in self.shares if self.site(member) == party]

    def report(self, party: str, state: str, sequence: int) -> None:
        share = self.shares[party]
        if sequence > share.sequence and (state == share.state or share.may_become(state)):
            share.state, share.sequence = state, sequence
            self.waits.discard(party)
            self.fold()

    def stop(self) -> None:
        self.desired, self.cancelled = "stopped", True

    def sweep(self, absent: set[str]) -> None:
        if self.desired == "prepared" and self.prepare_deadline_passed:
            self.desired = "stopped"
        for party, share in self.shares.items():
            if self.site(party) not in absent or not self.is_open(share):
                continue
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
        if self.desired == "running" and not all(ended):
            self.stop_those_left(states)
        if all(ended):
            self.status = "Succeeded" if self.succeeded(states) else "Failed"
            if self.cancelled:
                self.status = "Cancelled"
        elif "lost" in states:
            self.status = "Unknown"
        elif not set(states) & set(RANK) - {"running"}:
            self.status = "Running"
        elif set(states) != {"pending"} or self.waits or self.status != "Started":
            self.status = "Pending"

    def parties(self) -> list[str]:
        return [share.state for name, share in self.shares.items() if name != COORDINATOR]

    def stop_those_left(self, states: list[str]) -> None:
        """What members that talk to one another do when one has ended."""
        if self.kind == "decides":
            if self.shares[COORDINATOR].state in FINAL:
                self.desired = "stopped"
        elif self.kind == "after_parties" and set(self.parties()) <= set(FINAL):
            self.desired = "stopped"
        elif self.kind != "none" and set(states) & set(FINAL) - {"succeeded"}:
            self.desired, self.peer_failed = "stopped", True

    def succeeded(self, states: list[str]) -> bool:
        if self.kind == "decides":
            return self.shares[COORDINATOR].state == "succeeded"
        if self.kind == "after_parties" and not self.peer_failed:
            return set(self.parties()) == {"succeeded"}
        return set(states) == {"succeeded"} and not self.peer_failed
