"""A runtime that is not there yet when the agent starts: waited for, within reason.

After a machine's restart, or while its container engine is being updated, the agent is often
there first. One that gave up at once would leave that to whoever restarts it.
"""

import structlog

from party_agent.clock import Clock
from party_agent.runtime.port import Runtime, RuntimeUnavailable, RuntimeUnusable

RETRY_S = 1.0

log = structlog.get_logger()


async def open_patiently(runtime: Runtime, clock: Clock, *, patience_s: float) -> None:
    """Open the runtime as soon as it answers.

    Raises:
        RuntimeUnusable: waiting does not help.
        RuntimeUnavailable: it did not answer within `patience_s`.
    """
    waited_s = 0.0
    while True:
        try:
            await runtime.open()
        except RuntimeUnusable:
            raise
        except RuntimeUnavailable as error:
            if waited_s >= patience_s:
                raise
            log.warning("runtime_awaited", error=str(error), left_s=patience_s - waited_s)
        else:
            return
        await clock.sleep(RETRY_S)
        waited_s += RETRY_S
