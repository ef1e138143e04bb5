"""How often what a workload says of itself is passed on: the newest word, at most once a while."""

from datetime import datetime

from party_agent.unit import SelfReport

EVERY_S = 1.0


class Words:
    """One workload's words on their way; `newest` is the last of them."""

    def __init__(self, newest: SelfReport) -> None:
        self.newest = newest
        self._is_waiting = False
        self._passed_at: datetime | None = None

    def hear(self, says: SelfReport) -> bool:
        """Take a word; say whether anybody must be woken for it."""
        self.newest = says
        was_waiting, self._is_waiting = self._is_waiting, True
        return not was_waiting

    def left_s(self, now: datetime) -> float | None:
        """Return how long the newest word has to wait yet, None if there is none that waits."""
        if not self._is_waiting:
            return None
        if self._passed_at is None:
            return 0
        return max(0, EVERY_S - max(0, (now - self._passed_at).total_seconds()))

    def passed_on(self, now: datetime) -> None:
        """Note that nothing waits any more."""
        self._is_waiting = False
        self._passed_at = now
