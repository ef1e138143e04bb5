"""One fault: when its step is there it strikes, lasts, and is repaired."""

import asyncio
from collections import defaultdict
from datetime import UTC, datetime

from tests.chaos.database import commit_held
from tests.chaos.parts import Part, part_of
from tests.chaos.place import Place
from tests.chaos.schedule import Fault
from tests.chaos.steps import Progress
from tests.chaos.toll import Strike, Toll


class Faults:
    """Brings faults over one place; no part is hurt twice at the same time."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def bring(self, fault: Fault, progress: Progress, toll: Toll) -> bool:
        """Return True after strike and repair, False if its step never came."""
        if not await progress.reached(fault.step, [fault.at]):
            return False
        await asyncio.sleep(fault.jitter_s)
        async with self._locks[fault.part]:
            part = part_of(self._place, fault, toll)
            since = datetime.now(UTC)
            try:
                await self._strike(part, fault)
                since = datetime.now(UTC)
                await part.struck()
                await asyncio.sleep(fault.duration_s)
            finally:
                # Also where this is given up: nothing may stay paused or cut off.
                toll.strikes.append(Strike(fault=fault, since=since, until=datetime.now(UTC)))
                await part.repair()
        return True

    async def _strike(self, part: Part, fault: Fault) -> None:
        if not fault.in_commit:
            await part.strike()
            return
        async with commit_held(self._place.database.url):
            await part.strike()
