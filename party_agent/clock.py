"""Time as the agent sees it: asked for, never taken, so that a test can hand it out."""

import asyncio
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells and waits."""

    def now(self) -> datetime:
        """Return the present as aware UTC."""

    async def sleep(self, delay_s: float) -> None:
        """Return after `delay_s` seconds."""


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        """Return the present as aware UTC."""
        return datetime.now(UTC)

    async def sleep(self, delay_s: float) -> None:
        """Return after `delay_s` seconds."""
        await asyncio.sleep(delay_s)
