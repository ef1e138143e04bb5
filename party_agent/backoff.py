"""How long to wait before dialling again: growing, capped, and spread by chance."""

from collections.abc import Callable


class Backoff:
    """Exponential with full jitter: a delay lies anywhere in [0, ceiling).

    Full jitter, because all sites lose their server at the same moment. `random` returns
    values in [0, 1).
    """

    def __init__(self, *, first_s: float, max_s: float, random: Callable[[], float]) -> None:
        self._first_s = first_s
        self._max_s = max_s
        self._random = random
        self._attempts = 0

    def next_s(self) -> float:
        """Return the next delay in seconds and raise the ceiling of the one after."""
        ceiling_s = min(self._max_s, self._first_s * 2.0 ** min(self._attempts, 30))
        self._attempts += 1
        return ceiling_s * self._random()

    def long_s(self) -> float:
        """Return a delay for what only a person can change: in the upper half of the cap."""
        return self._max_s * (1 + self._random()) / 2

    def reset(self) -> None:
        """Begin again from the first ceiling."""
        self._attempts = 0
