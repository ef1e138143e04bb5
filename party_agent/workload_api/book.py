"""One workload's reports, taken down one after the other and told to whom they concern."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial

import structlog

from party_agent.policy.rules import MayLeave
from party_agent.unit import SelfReport
from party_agent.workload_api.readings import SentBatch
from party_agent.workload_api.spool import Spool

log = structlog.get_logger()


class Book:
    """Takes down into `spool`. `heard` is told the newest word, `grown` that there are points.

    What the site keeps to itself is counted as dropped to the workload, and how much that is told
    to nobody else: points, and sentences where logs are kept too, since both are what it writes
    for people.
    """

    def __init__(
        self,
        spool: Spool,
        may_leave: MayLeave,
        *,
        now: Callable[[], datetime],
        heard: Callable[[SelfReport], None],
        grown: Callable[[], None],
    ) -> None:
        self._spool = spool
        self._may_leave = may_leave
        self._now = now
        self._heard = heard
        self._grown = grown
        self._says = spool.says
        self._turn = asyncio.Lock()
        self._has_dropped = spool.dropped > 0
        heard(self._says)

    async def progress(self, epoch: int, total: int | None) -> None:
        """Take down how far the workload is; a total that is left out is the last one."""
        total = self._says.total_epoch if total is None else total
        await self._say(replace(self._says, current_epoch=epoch, total_epoch=total))

    async def message(self, text: str) -> None:
        """Take down the newest sentence."""
        if not self._may_leave.logs:
            return
        await self._say(replace(self._says, note=text))

    async def metrics(self, sent: SentBatch) -> tuple[int, int]:
        """Take points down; return how many were stored, and how many there is no room for."""
        if not self._may_leave.metrics:
            return 0, len(sent.points)
        now_us = round(self._now().timestamp() * 1e6)
        async with self._turn:
            stored, lost = await asyncio.to_thread(partial(self._spool.add, sent, now_us))
        if lost and not self._has_dropped:
            self._has_dropped = True
            log.warning("metrics_dropped", party_run_id=self._spool.party_run_id)
        self._grown()
        return stored, lost

    async def _say(self, says: SelfReport) -> None:
        # Before the disk has it: of two that come at once the later one is the newest.
        self._says = says
        async with self._turn:
            await asyncio.to_thread(self._spool.say, self._says)
        self._heard(self._says)
