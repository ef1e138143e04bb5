"""How often, and how many at once: pure counting by key, with the time as an argument.

Every table is bounded. Whoever would fill one with keys of their own making only makes room for
themselves: the limit by address stands before all others, and an address can't be made up.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

MAX_KEYS = 10_000
# What one subscriber of an IPv6 network has to choose from.
_IPV6_PREFIX_BITS = 64


@dataclass(frozen=True, kw_only=True)
class Rate:
    """So many a second in the long run, and up to `burst` at once. `per_s` is above 0."""

    per_s: float
    burst: float


class Buckets:
    """A token bucket per key, full at first. `now_s` never goes back."""

    def __init__(self, rate: Rate, *, max_keys: int = MAX_KEYS) -> None:
        self._rate = rate
        self._max_keys = max_keys
        # key -> (tokens, when that was so), the one used longest ago first.
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        """Count the keys that are kept."""
        return len(self._levels)

    def wait_s(self, key: str, now_s: float) -> float:
        """Return 0 if one could be taken now, else in how many seconds; take none."""
        missing = 1 - self._level(key, now_s)
        return max(0.0, missing / self._rate.per_s)

    def take(self, key: str, now_s: float) -> float:
        """Take one and return 0, or take none and return in how many seconds to try again."""
        wait_s = self.wait_s(key, now_s)
        if wait_s == 0:
            self._levels[key] = (self._level(key, now_s) - 1, now_s)
            self._levels.move_to_end(key)
            self._forget(now_s)
        return wait_s

    def _level(self, key: str, now_s: float) -> float:
        tokens, at_s = self._levels.get(key, (self._rate.burst, now_s))
        return min(self._rate.burst, tokens + (now_s - at_s) * self._rate.per_s)

    def _forget(self, now_s: float) -> None:
        # A full bucket is as good as none.
        while self._levels:
            oldest = next(iter(self._levels))
            if (
                len(self._levels) <= self._max_keys
                and self._level(oldest, now_s) < self._rate.burst
            ):
                return
            del self._levels[oldest]


class Places:
    """So many at once per key."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken: dict[str, int] = {}

    def __len__(self) -> int:
        """Count the keys that have taken a place."""
        return len(self._taken)

    def enter(self, key: str) -> bool:
        """Take a place, or return False if none is left. Each one taken is to be left."""
        taken = self._taken.get(key, 0)
        if taken >= self._limit:
            return False
        self._taken[key] = taken + 1
        return True

    def leave(self, key: str) -> None:
        """Give a place back."""
        left = self._taken[key] - 1
        if left:
            self._taken[key] = left
        else:
            del self._taken[key]


def address_of(peer: str) -> str:
    """Return by what a peer ("ipv4:1.2.3.4:5", "ipv6:[::1]:5") is counted: IPv6 by its /64."""
    kind, _, rest = peer.partition(":")
    if kind == "unix":
        return "unix"
    host = rest.rpartition(":")[0].replace("%5B", "[").replace("%5D", "]").strip("[]")
    # A zone is this machine's own name for a link.
    host = host.partition("%")[0]
    try:
        address = ip_address(host)
    except ValueError:
        return peer
    if isinstance(address, IPv4Address):
        return str(address)
    if (mapped := address.ipv4_mapped) is not None:
        return str(mapped)
    return f"{IPv6Address(int(address) >> _IPV6_PREFIX_BITS << _IPV6_PREFIX_BITS)}/64"


def seconds_to_wait(wait_s: float) -> str:
    """Return a wait for people: whole seconds, and never 0."""
    seconds = max(1, math.ceil(wait_s))
    return f"{seconds} second" if seconds == 1 else f"{seconds} seconds"
