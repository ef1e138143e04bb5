"""How fast tunnels may be: a bucket that fills at the rate of the site's rule.

Pure but for the rule itself, which is asked anew each time: a change counts at once.
"""

from collections.abc import Callable

# What may pass at once after a pause, and of one read, so that slow is not the same as in jerks.
BURST_S = 0.1
_LEAST_READ_BYTES = 1024


class Bucket:
    """Lets `rate()` bytes per second pass, None for any number. `now_s` grows and never jumps."""

    def __init__(self, rate: Callable[[], int | None]) -> None:
        self._rate = rate
        self._level_bytes = 0.0
        self._at_s: float | None = None

    def take(self, size_bytes: int, now_s: float) -> None:
        """Note that `size_bytes` pass now."""
        rate = self._rate()
        if rate is not None:
            self._fill(rate, now_s)
            self._level_bytes -= size_bytes

    def wait_s(self, now_s: float) -> float:
        """Return how long nothing more may pass."""
        rate = self._rate()
        if rate is None:
            self._at_s = None
            return 0.0
        self._fill(rate, now_s)
        return max(0.0, -self._level_bytes / rate)

    def most_bytes(self, most: int) -> int:
        """Return how much to read at once, `most` where nothing is slow."""
        rate = self._rate()
        return most if rate is None else min(most, max(_LEAST_READ_BYTES, round(rate * BURST_S)))

    def _fill(self, rate: int, now_s: float) -> None:
        full = rate * BURST_S
        if self._at_s is None:
            self._level_bytes = full
        else:
            self._level_bytes = min(full, self._level_bytes + (now_s - self._at_s) * rate)
        self._at_s = now_s


class Valve:
    """Several buckets, all of which must let pass: the site's, and the run's."""

    def __init__(self, *buckets: Bucket) -> None:
        self._buckets = buckets

    def take(self, size_bytes: int, now_s: float) -> float:
        """Note that `size_bytes` pass now; return how long nothing more may, in seconds."""
        wait_s = 0.0
        for bucket in self._buckets:
            bucket.take(size_bytes, now_s)
            wait_s = max(wait_s, bucket.wait_s(now_s))
        return wait_s

    def wait_s(self, now_s: float) -> float:
        """Return how long nothing more may pass."""
        return max((bucket.wait_s(now_s) for bucket in self._buckets), default=0.0)

    def most_bytes(self, most: int) -> int:
        """Return how much to read at once."""
        return min((bucket.most_bytes(most) for bucket in self._buckets), default=most)
