"""How long to wait before dialling again: growing, capped, and spread by chance."""

from collections.abc import Callable

# Of the longest delay, where somebody waits for what this site does.
AWAITED_SHARE = 0.25


class Backoff:
    """Exponential with full jitter: a delay lies anywhere in [0, ceiling).

    Full jitter, because all sites lose their server at the same moment. No ceiling is below
    what the server asked for with `spread`, so that however soon it is back, its agents come
    one after the other. And none is above the first by more than the agent has been away: who
    drew short delays would otherwise wait long for a server that is back already.
    `random` returns values in [0, 1).
    """

    def __init__(self, *, first_s: float, max_s: float, random: Callable[[], float]) -> None:
        self._first_s = first_s
        self._max_s = max_s
        self._random = random
        self._attempts = 0
        self._away_s = 0.0
        self._spread_s = 0.0

    def next_s(
        self, *, is_alone: bool = False, is_awaited: bool = False, spent_s: float = 0.0
    ) -> float:
        """Return the next delay in seconds and raise the ceiling of the one after.

        `is_alone`: this agent's own connection went silent, nobody else's was ended with it,
        so its first return is quick. `is_awaited`: runs of this site have not ended, so their
        results are not kept waiting for the whole of the longest delay. `spent_s` is how long
        the attempt took that has failed: a dial that waited in vain has spared the server as a
        delay does, and the next one finds a network that heals.
        """
        cap_s = self._max_s * AWAITED_SHARE if is_awaited else self._max_s
        self._away_s += spent_s if self._attempts > 0 else 0.0
        grown_s = min(
            cap_s,
            self._first_s * 2.0 ** min(self._attempts, 30),
            self._first_s + self._away_s,
        )
        spread_s = 0.0 if is_alone and self._attempts == 0 else self._spread_s
        chance = self._random()
        delay_s = min(self._max_s, max(grown_s, spread_s)) * chance
        if self._attempts > 0:
            least_s = min(self._max_s, max(self._first_s, spread_s)) * chance
            delay_s = max(least_s, delay_s - spent_s)
        self._attempts += 1
        self._away_s += delay_s
        return delay_s

    def long_s(self) -> float:
        """Return a delay for what only a person can change: in the upper half of the cap."""
        return self._max_s * (1 + self._random()) / 2

    def spread(self, over_s: float) -> None:
        """Take over the server's word on how long its agents' return is to take."""
        self._spread_s = max(0.0, over_s)

    def reset(self) -> None:
        """Begin again from the first ceiling."""
        self._attempts = 0
        self._away_s = 0.0
