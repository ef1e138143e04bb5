"""What the faults of one schedule really did, with times: what the oracle judges by."""

from dataclasses import dataclass, field
from datetime import datetime

from tests.chaos.schedule import Fault


@dataclass(frozen=True, kw_only=True)
class Strike:
    """One fault, from when it was there until its repair began. Times are aware UTC."""

    fault: Fault
    since: datetime
    until: datetime


@dataclass(kw_only=True)
class Toll:
    """`refused` are tasks that were started at a drained party, `vanished` party runs whose
    record was taken from their runtime.

    `findings` are what the faults themselves saw go wrong.
    """

    strikes: list[Strike] = field(default_factory=list)
    drained: list[Strike] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    vanished: set[str] = field(default_factory=set)
    findings: list[str] = field(default_factory=list)

    def touched(self, what: str) -> bool:
        return any(strike.fault.part.startswith(what) for strike in self.strikes)
