"""What a source of news about a run offers; nobody who shows them knows where they come from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True)
class TaskNews:
    """The task as it is now, as `task get` shows it, with `run_id` and `run_message`.

    With `is_end` its run is over and nothing follows.
    """

    task: dict[str, Any]
    is_end: bool = False


@dataclass(frozen=True, kw_only=True)
class MetricNews:
    """The newest value of one metric at one party."""

    party: str
    name: str
    step: int
    value: float


@dataclass(frozen=True, kw_only=True)
class OutputNews:
    """How far one party's outputs are; `complete`: nothing follows.

    `bytes` in `files` can be downloaded, `stored_bytes` of `coming_bytes` are on their way.
    """

    party: str
    complete: bool
    files: int
    bytes: int
    coming_bytes: int
    stored_bytes: int


@dataclass(frozen=True, kw_only=True)
class Connection:
    """The server was lost, or is back."""

    is_lost: bool


@dataclass(frozen=True, kw_only=True)
class Broken:
    """The run can't be followed any further; `error` says why."""

    error: Exception = field(compare=False)


News = TaskNews | MetricNews | OutputNews | Connection | Broken


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line that a workload wrote; what would steer a terminal is still in it."""

    party: str
    text: str


class Source(Protocol):
    """News of one run, from its present state to its end."""

    def next(self, timeout_s: float) -> News | None:
        """Return the next of the news, None if there is none within `timeout_s`."""
        ...

    def lines(self) -> Sequence[Line]:
        """Return the last lines of all parties' logs, oldest first."""
        ...

    def close(self) -> None:
        """Stop listening; twice is once."""
        ...
