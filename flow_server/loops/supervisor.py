"""Keeps background duties going: a duty that fails is logged, and begun again after a pause."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import structlog

from flow_server.loops.watch import LoopWatch, Unwatched

log = structlog.get_logger()

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 10.0

Duty: TypeAlias = Callable[[], Awaitable[None]]


async def keep_going(name: str, duty: Duty, watch: LoopWatch | None = None) -> None:
    """Run `duty` for ever; it is meant not to return. `watch` hears how it does.

    One failure costs a pause, the next ones longer ones, with jitter, so that replicas don't
    knock on a recovering database all at once. A duty that worked for a while starts afresh.
    """
    pause_s = FIRST_PAUSE_S
    loop = asyncio.get_running_loop()
    watch = watch or Unwatched()
    while True:
        began_s = loop.time()
        watch.began(name)
        try:
            await duty()
            log.warning("duty_returned", duty=name)
        except Exception as error:  # noqa: BLE001 - the supervisor is where every failure ends
            log.warning("duty_failed", duty=name, error=repr(error), pause_s=round(pause_s, 2))
        watch.failed(name)
        if loop.time() - began_s > LONGEST_PAUSE_S:
            pause_s = FIRST_PAUSE_S
        await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
