"""Who is told how the database is doing; by default nobody."""

from typing import Protocol


class DatabaseWatch(Protocol):
    """Hears of each wait for a connection and of each transaction that failed."""

    def waited(self, seconds: float) -> None:
        """Take note of how long a connection was waited for."""

    def failed(self, *, passing: bool) -> None:
        """Take note of a failure: one that may pass by itself, or a statement refused."""


class Unwatched:
    """Takes note of nothing."""

    def waited(self, seconds: float) -> None:
        """See `DatabaseWatch`."""

    def failed(self, *, passing: bool) -> None:
        """See `DatabaseWatch`."""
