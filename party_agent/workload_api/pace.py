"""How fast one workload may ask: who is faster waits, and nobody else does."""

import asyncio

_BURST_S = 1.0


class Pace:
    """Lets `per_s` turns through in a second, after the first second's worth."""

    def __init__(self, per_s: float) -> None:
        self._turn_s = 1 / per_s
        self._paid_until_s = 0.0

    async def turn(self) -> None:
        """Wait for the next turn."""
        now_s = asyncio.get_running_loop().time()
        self._paid_until_s = max(self._paid_until_s, now_s - _BURST_S) + self._turn_s
        if self._paid_until_s > now_s:
            await asyncio.sleep(self._paid_until_s - now_s)

    def charge(self, price_s: float) -> None:
        """Let the next turns wait for something that was dear, `price_s` of time."""
        self._paid_until_s += price_s
