"""Who is told how the background loops are doing; by default nobody."""

from typing import Protocol


class LoopWatch(Protocol):
    """Hears of each loop, by name, when it begins, fails, and has done a round."""

    def began(self, name: str) -> None:
        """Take note that it runs."""

    def failed(self, name: str) -> None:
        """Take note that it failed, and pauses."""

    def succeeded(self, name: str) -> None:
        """Take note of a round that was done: only loops that have rounds say so."""


class Unwatched:
    """Takes note of nothing."""

    def began(self, name: str) -> None:
        """See `LoopWatch`."""

    def failed(self, name: str) -> None:
        """See `LoopWatch`."""

    def succeeded(self, name: str) -> None:
        """See `LoopWatch`."""
