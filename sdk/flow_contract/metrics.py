"""What workloads measure: points by column, how many there may be, and how they are told apart."""

import math
import re
from dataclasses import dataclass

from flow_contract import checks
from flow_contract.errors import InvalidArgument

MAX_NAME_LENGTH = 128
MAX_RULE_LENGTH = 128
# Of one party run.
MAX_NAMES = 1_000
MAX_POINTS = 1_000_000
# In one message.
MAX_BATCH = 5_000
MAX_LISTED = 50_000
DEFAULT_LISTED = 10_000

# What a time stamp of the database holds, years 1 to 9999.
_FIRST_US = -62_135_596_800_000_000
_LAST_US = 253_402_300_799_999_999
MAX_STEP = 2**63 - 1

_PLACE = re.compile(r"(?P<rank>[0-9]{1,9})\.(?P<sequence>[0-9]{1,9})")


@dataclass(frozen=True, kw_only=True)
class MetricPoints:
    """Points by column: the n-th of each make the n-th point.

    `at_us` counts microseconds since 1970 by the workload's clock. Values are finite.
    """

    names: tuple[str, ...] = ()
    steps: tuple[int, ...] = ()
    at_us: tuple[int, ...] = ()
    values: tuple[float, ...] = ()

    def __len__(self) -> int:
        """Return how many points there are."""
        return len(self.values)


@dataclass(frozen=True, kw_only=True)
class MetricBatch:
    """Points of one party run, counted from 1 within it; `first_sequence` is the first one's.

    `dropped` is how many of the party run's points were dropped so far. `withheld` is the rule
    of the site that keeps its points there, "" for none; how many those are is told to nobody.
    """

    party_run_id: str
    first_sequence: int
    points: MetricPoints = MetricPoints()
    dropped: int = 0
    withheld: str = ""


@dataclass(frozen=True, kw_only=True)
class PartyMetrics:
    """One party's part of a page; `dropped` and `withheld` as in its last batch."""

    federated_id: str
    points: MetricPoints
    dropped: int
    withheld: str = ""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a page ends: the party's rank and the number of its last point."""

    rank: int
    sequence: int

    def __str__(self) -> str:
        """Return it as callers hand it back."""
        return f"{self.rank}.{self.sequence}"


def check_batch(batch: MetricBatch) -> None:
    """Accept a batch that can be stored.

    Raises:
        InvalidArgument: it can't.
    """
    points = batch.points
    checks.text("batch.party_run_id", batch.party_run_id, max_chars=64)
    last = MAX_POINTS - len(points) + 1
    checks.number("batch.first_sequence", batch.first_sequence, least=1, most=last)
    checks.number("batch.dropped", batch.dropped, least=0, most=MAX_STEP)
    checks.text("batch.withheld", batch.withheld, max_chars=MAX_RULE_LENGTH)
    if len(points) > MAX_BATCH:
        raise InvalidArgument(
            f"batch.points: {len(points)} are more than {MAX_BATCH}", field="batch.points"
        )
    if not len(points.names) == len(points.steps) == len(points.at_us) == len(points.values):
        raise InvalidArgument("batch.points: columns of different length", field="batch.points")
    for name in set(points.names):
        checks.text("batch.points.names", name, max_chars=MAX_NAME_LENGTH)
    if not all(map(math.isfinite, points.values)):
        raise InvalidArgument(
            "batch.points.value: every value must be finite", field="batch.points.value"
        )
    if points and not _FIRST_US <= min(points.at_us) <= max(points.at_us) <= _LAST_US:
        raise InvalidArgument(
            "batch.points.at_us: not a time that can be stored", field="batch.points.at_us"
        )


def read_place(text: str) -> Place:
    """Return the place that an answer named; "" is the beginning.

    Raises:
        InvalidArgument: no answer said so.
    """
    found = _PLACE.fullmatch(text or "0.0")
    if found is None:
        raise InvalidArgument("after: hand back what the last answer called `next`", field="after")
    return Place(rank=int(found["rank"]), sequence=int(found["sequence"]))
