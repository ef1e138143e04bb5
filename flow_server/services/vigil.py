"""Since when this replica has been able to renew leases without a gap, and so may judge others."""

from collections.abc import Callable


class Vigil:
    """Kept by one renewal of the leases after another; a gap begins it anew.

    Renewals, because a gap between them is what leases run out in. How long anything else
    takes, such as a sweep over many runs, says nothing about that.
    """

    def __init__(self, *, longest_gap_s: float, clock_s: Callable[[], float]) -> None:
        """Not begun; `longest_gap_s` is short enough that no lease can have run out in it."""
        self._longest_gap_s = longest_gap_s
        self._clock_s = clock_s
        self._began_s: float | None = None
        self._kept_s = 0.0

    def keep(self) -> None:
        """Note that leases have just been renewed."""
        now_s = self._clock_s()
        if self._began_s is None or now_s - self._kept_s > self._longest_gap_s:
            self._began_s = now_s
        self._kept_s = now_s

    def has_lasted(self, at_least_s: float) -> bool:
        """Say whether it has lasted so long and has no gap now."""
        if self._began_s is None:
            return False
        now_s = self._clock_s()
        is_kept = now_s - self._kept_s <= self._longest_gap_s
        return is_kept and now_s - self._began_s >= at_least_s
