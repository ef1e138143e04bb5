"""Wake-ups between processes: NOTIFY inside the writing transaction, LISTEN on one connection.

A wake-up says where to look and nothing else; the rows are the truth. (But for offers of tunnels,
which are of use for seconds only, and are never caught up on.) Payloads that repeat
within a transaction reach the listener once (PostgreSQL folds them).
"""

import asyncio
from collections.abc import Callable

import asyncpg
from sqlalchemy import text

from flow_server.storage.address import Address
from flow_server.storage.database import Connection

DESIRED_CHANNEL = "fedflow_desired"
OBSERVED_CHANNEL = "fedflow_observed"
# Who may no longer do what they could: "token:<id>", "user:<name>" or "party:<id>".
IDENTITY_CHANNEL = "fedflow_identity"
# Runs of which more was written down than before.
LOGS_CHANNEL = "fedflow_logs"
# Events that nobody else is told of: of tasks and parties, by the triggers that write them.
EVENTS_CHANNEL = "fedflow_events"
# Offers of tunnels, whole: they stand in no row. Whoever may listen to this database could read
# them, and could read every row as well.
OFFERS_CHANNEL = "fedflow_offers"

# Also how often a connection that has nothing to say is asked.
_ANSWER_TIMEOUT_S = 10.0

_NOTIFY = text("SELECT pg_notify(:channel, payload) FROM unnest(CAST(:payloads AS text[])) payload")


async def notify_observed(connection: Connection, task_ids: list[str]) -> None:
    """Say that these tasks' status or party status changed."""
    await connection.execute(_NOTIFY, {"channel": OBSERVED_CHANNEL, "payloads": task_ids})


async def notify_identity(connection: Connection, subjects: list[str]) -> None:
    """Say that what these tokens, users or parties may do has changed; each with its kind."""
    await connection.execute(_NOTIFY, {"channel": IDENTITY_CHANNEL, "payloads": subjects})


async def notify_logs(connection: Connection, run_ids: list[str]) -> None:
    """Say that there is more of these runs' logs."""
    await connection.execute(_NOTIFY, {"channel": LOGS_CHANNEL, "payloads": run_ids})


async def notify_offer(connection: Connection, offer: str) -> None:
    """Send an offer of a tunnel round, in less than the 8000 bytes that a payload may have."""
    await connection.execute(_NOTIFY, {"channel": OFFERS_CHANNEL, "payloads": [offer]})


class Listener:
    """One LISTEN connection to `address`."""

    def __init__(
        self,
        address: Address,
        *,
        on_desired: Callable[[str], None],
        on_observed: Callable[[str], None],
        on_identity: Callable[[str], None],
        on_logs: Callable[[str], None],
        on_events: Callable[[str], None] = lambda _: None,
        on_offers: Callable[[str], None] = lambda _: None,
        answer_timeout_s: float = _ANSWER_TIMEOUT_S,
    ) -> None:
        self._address = address
        self._answer_timeout_s = answer_timeout_s
        self._handlers = {
            DESIRED_CHANNEL: on_desired,
            OBSERVED_CHANNEL: on_observed,
            IDENTITY_CHANNEL: on_identity,
            LOGS_CHANNEL: on_logs,
            EVENTS_CHANNEL: on_events,
            OFFERS_CHANNEL: on_offers,
        }

    async def listen(self, on_listening: Callable[[], None]) -> None:
        """Pass wake-ups on until the connection ends.

        Calls `on_listening` once wake-ups are being received: whatever changed before may have
        been missed, so the caller looks at everything then.

        Raises:
            OSError, asyncpg.PostgresError: the connection could not be made.
            ConnectionError, TimeoutError: it ended, or is silent.
        """
        connection = await asyncpg.connect(**self._address.connect_args())
        try:
            ended = asyncio.Event()
            connection.add_termination_listener(lambda _connection: ended.set())
            for channel in self._handlers:
                await connection.add_listener(channel, self._received)
            on_listening()
            while not ended.is_set():
                await self._ask_after(connection, ended)
        finally:
            connection.terminate()
        raise ConnectionError("the connection that listens for changes ended")

    async def _ask_after(self, connection: asyncpg.Connection, ended: asyncio.Event) -> None:
        """Wait for the end; ask now and then, since a dead network tells nobody that it is."""
        try:
            async with asyncio.timeout(self._answer_timeout_s):
                await ended.wait()
        except TimeoutError:
            await connection.execute("SELECT 1", timeout=self._answer_timeout_s)

    def _received(self, _connection: object, _pid: int, channel: str, payload: object) -> None:
        self._handlers[channel](str(payload))
