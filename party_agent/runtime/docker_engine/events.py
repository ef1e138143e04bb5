"""One event stream per agent: which of its containers ended, without polling.

The engine keeps no subscription over its own restart, so after every new connection the
owner lists what there is: an end is told at least once, whether the stream or the list
finds it.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from party_agent.runtime.docker_engine.client import Engine
from party_agent.runtime.docker_engine.errors import EngineError
from party_agent.runtime.docker_engine.feed import EventFeed
from party_agent.runtime.port import RuntimeUnavailable

_log = structlog.get_logger(__name__)

_FIRST_RETRY_S = 0.1
_LAST_RETRY_S = 5.0


class EventStream:
    """Hands the engine's events about labelled containers to `seen`, in the loop, in order.

    `connected` is awaited after each connection but the first, before any event of it.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        labels: dict[str, str],
        seen: Callable[[dict[str, Any]], None],
        connected: Callable[[], Awaitable[None]],
    ) -> None:
        self._engine = engine
        self._labels = labels
        self._seen = seen
        self._connected = connected
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Subscribe; every event from before the return on is handed over.

        Raises:
            RuntimeUnavailable: the engine does not answer.
        """
        connection = await self._connect()
        self._task = asyncio.create_task(self._run(connection))

    async def aclose(self) -> None:
        """End the subscription. May be called twice, or before `open`."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def _run(self, connection: "_Connection") -> None:
        while True:
            await self._deliver(connection)
            connection = await self._reconnected()

    async def _deliver(self, connection: "_Connection") -> None:
        try:
            while (event := await connection.events.get()) is not None:
                self._seen(event)
        finally:
            connection.close()

    async def _reconnected(self) -> "_Connection":
        retry_s = _FIRST_RETRY_S
        while True:
            _log.warning("engine_events_lost", retry_s=retry_s)
            await asyncio.sleep(retry_s)
            retry_s = min(retry_s * 2, _LAST_RETRY_S)
            connection: _Connection | None = None
            try:
                connection = await self._connect()
                await self._connected()
            except (EngineError, RuntimeUnavailable) as error:
                _log.warning("engine_unreachable", error=str(error))
                if connection is not None:
                    connection.close()
            except asyncio.CancelledError:
                if connection is not None:
                    connection.close()
                raise
            else:
                _log.info("engine_events_resumed")
                return connection

    async def _connect(self) -> "_Connection":
        # The engine sends its answer's head before it subscribes; with a time from before the
        # call it also hands over what happens in between.
        since = await self._engine.now()
        return _Connection(await self._engine.events(since=since, labels=self._labels))


class _Connection:
    """A thread that moves events from a blocking feed into a queue; None marks the end."""

    def __init__(self, feed: EventFeed) -> None:
        self.events: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._feed = feed
        self._loop = asyncio.get_running_loop()
        self._closed = False
        # A daemon: a process that ends without `close` must not wait for an event first.
        self._thread = threading.Thread(target=self._move, name="docker-events", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed = True
        self._feed.close()

    def _move(self) -> None:
        for event in self._feed:
            if self._closed:
                return
            self._put(event)
        self._put(None)

    def _put(self, event: dict[str, Any] | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self.events.put_nowait, event)
        except RuntimeError:
            # The loop was closed meanwhile: nobody is left to tell.
            return
