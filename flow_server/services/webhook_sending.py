"""Sending webhooks: deliveries are made from events, claimed, posted and ended.

Claim, post, end are three short steps: nothing is posted inside a transaction. A replica that
dies in between leaves a claim that runs out, and the delivery is posted again, with its id.
"""

import asyncio
import contextlib
import time
from collections.abc import Collection

import structlog

from flow_server.domain.webhooks import retry_after_s, signature
from flow_server.outbound.post import NotPosted, post
from flow_server.storage import webhooks
from flow_server.storage.database import Database
from flow_server.storage.webhooks import Claimed

log = structlog.get_logger()

_PAGE = 1000
_AT_ONCE = 16
# Longer than a post may take, by far.
LEASE_S = 60.0
# What is woken for at every change is looked for no more often than this.
_LEAST_PAUSE_S = 0.25
# Events that an open transaction holds back wake nobody when it ends.
_LONGEST_PAUSE_S = 5.0
_MAX_PROBLEM_CHARS = 300
_ENDED_KEPT_DAYS = 30
_GOOD = range(200, 300)


class WebhookSender:
    """Makes and posts deliveries. Any number of replicas may, each delivery is one's at a time."""

    def __init__(
        self,
        database: Database,
        *,
        allowed: Collection[str],
        timeout_s: float,
        lease_s: float = LEASE_S,
    ) -> None:
        self._database = database
        self._allowed = allowed
        self._timeout_s = timeout_s
        self._lease_s = lease_s
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Say that a run may have ended."""
        self._woken.set()

    async def run(self) -> None:
        """Send until cancelled."""
        busy: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                self._woken.clear()
                await self._make()
                async with self._database.transaction() as connection:
                    claimed = await webhooks.claim(
                        connection, most=_AT_ONCE - len(busy), busy=busy, lease_s=self._lease_s
                    )
                for one in claimed:
                    task = asyncio.create_task(self._send(one))
                    busy[one.webhook_id] = task
                    task.add_done_callback(lambda _: self.wake())
                await self._pause(busy)
                for webhook_id in [key for key, task in busy.items() if task.done()]:
                    busy.pop(webhook_id).result()
        finally:
            for task in busy.values():
                task.cancel()
            await asyncio.gather(*busy.values(), return_exceptions=True)

    async def delete_ended(self) -> int:
        """Forget deliveries that ended long ago; return how many that were."""
        async with self._database.transaction() as connection:
            return await webhooks.delete_ended(connection, days=_ENDED_KEPT_DAYS)

    async def _make(self) -> None:
        while True:
            async with self._database.transaction() as connection:
                seen = await webhooks.make_deliveries(connection, most=_PAGE)
            if seen < _PAGE:
                return

    async def _pause(self, busy: dict[str, asyncio.Task[None]]) -> None:
        async with self._database.glance() as connection:
            due_in_s = await webhooks.next_in_s(connection, busy)
        pause_s = _LONGEST_PAUSE_S
        if due_in_s is not None and len(busy) < _AT_ONCE:
            pause_s = min(pause_s, max(due_in_s, 0.0))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._woken.wait()
        await asyncio.sleep(_LEAST_PAUSE_S)

    async def _send(self, claimed: Claimed) -> None:
        body = claimed.body.encode()
        headers = {
            "content-type": "application/json",
            "user-agent": "fedflow",
            "fedflow-event": "run.ended",
            "fedflow-delivery": claimed.delivery_id,
            "fedflow-signature": signature(claimed.secret, int(time.time()), body),
        }
        status: int | None = None
        try:
            status = await post(
                claimed.url, headers, body, allowed=self._allowed, timeout_s=self._timeout_s
            )
            problem = "" if status in _GOOD else f"answered {status}"
        except NotPosted as error:
            problem = str(error)[:_MAX_PROBLEM_CHARS]
        again_s = retry_after_s(claimed.attempts, claimed.age_s) if problem else None
        async with self._database.transaction() as connection:
            await webhooks.end_attempt(
                connection,
                claimed,
                http_status=status,
                problem=problem,
                is_delivered=not problem,
                again_s=again_s,
            )
        if problem:
            log.info(
                "webhook_not_delivered",
                webhook_id=claimed.webhook_id,
                delivery_id=claimed.delivery_id,
                attempts=claimed.attempts,
                problem=problem,
                again_s=again_s,
            )
