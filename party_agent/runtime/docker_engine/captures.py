"""Writes what containers say into their logs: attached before the start, a thread each.

The engine keeps what a container wrote too. An agent that was restarted has it read to it from the
beginning, and leaves out as many bytes of each stream as stand in the log already. Where the engine
has thrown the beginning away, it goes on from the time of the last record, and a mark says so.
"""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import structlog

from flow_contract.log_records import BadLog
from party_agent.runtime.docker_engine import translate
from party_agent.runtime.docker_engine.client import Engine, Json
from party_agent.runtime.docker_engine.feed import EventFeed, Stream
from party_agent.runtime.docker_engine.said import Heard, Said, first_kept_us
from party_agent.runtime.docker_engine.written import Before, read_before
from party_agent.runtime.log_capture import STDERR, STDOUT, LogFile

# For what an engine has still to hand over of a container that has ended.
_LAST_WORDS_S = 30.0
# The engine and we read one clock, each in its own time. To throw anything away it has to be
# told 100 MB first.
_SAME_MOMENT_US = 500_000
_SHORT = (
    "the engine has not kept all of what was written while the agent was away:"
    " bytes may be missing here"
)

log = structlog.get_logger()


class Captures:
    """The logs of one agent's containers, by container id."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # Two who write one log would write it twice.
        self._turns: dict[str, asyncio.Lock] = {}
        self._running: dict[str, _Capture] = {}

    async def begin(self, container: Json, *, again: bool = False) -> None:
        """Write what the container says from now on, `again` what it said before and is missing.

        Raises:
            EngineError, RuntimeUnavailable: the engine does not hand it over.
        """
        found = translate.labels(container)
        if translate.LABEL_LOG not in found:
            return
        container_id = str(container["Id"])
        async with self._turns.setdefault(container_id, asyncio.Lock()):
            if container_id not in self._running:
                await self._begin(container, found, again=again)

    def forget_ended(self) -> None:
        """Take it that streams which have ended were cut off: what they lack is read again."""
        for container_id, capture in list(self._running.items()):
            if capture.has_ended:
                del self._running[container_id]

    async def finish(self, container: Json) -> None:
        """Return once all that an ended container said is written, or the engine is too slow."""
        if container["State"]["Running"]:
            return
        container_id = str(container["Id"])
        capture = self._running.get(container_id)
        if capture is not None and capture.may_lack_the_end:
            await asyncio.to_thread(capture.join, _LAST_WORDS_S)
            if capture.has_ended:
                self._running.pop(container_id, None)
        if translate.observation(container) is not None and _has_run(container):
            await self.begin(container, again=True)
        await self.ended(container_id)

    async def ended(self, container_id: str) -> None:
        """Wait for the last words of a container that is gone, and forget it."""
        capture = self._running.get(container_id)
        if capture is not None:
            await asyncio.to_thread(capture.join, _LAST_WORDS_S)
            self._running.pop(container_id, None)
        self._turns.pop(container_id, None)

    async def aclose(self) -> None:
        """Stop writing; containers and their logs at the engine go on."""
        running, self._running = self._running, {}
        for capture in running.values():
            capture.close()
        for capture in running.values():
            await asyncio.to_thread(capture.join, _LAST_WORDS_S)

    async def _begin(self, container: Json, found: dict[str, str], *, again: bool) -> None:
        container_id, follow = str(container["Id"]), bool(container["State"]["Running"])
        path = Path(found[translate.LABEL_LOG])
        try:
            before = await asyncio.to_thread(read_before, path)
        except (OSError, BadLog) as error:
            # The workload is worth more than its log; what there is of that is sent all the same.
            log.error("log_not_written", path=str(path), why=str(error))  # noqa: TRY400  no defect
            return
        stream, is_short = await self._engine.stream(
            lambda client: (
                _said(client, container_id, before, follow=follow)
                if again
                else (Heard(client, container_id), False)
            )
        )
        capture = _Capture(
            LogFile(
                path,
                most_bytes=int(found.get(translate.LABEL_LOG_MAX_BYTES, "0")),
                site_bytes=int(found.get(translate.LABEL_LOG_SITE_MAX_BYTES, "0")),
                last_us=before.last_us,
                is_cut=before.is_cut,
            ),
            stream,
            {} if is_short else dict(before.sizes),
            may_lack_the_end=again and follow,
        )
        if is_short:
            capture.say(_SHORT)
        self._running[container_id] = capture
        capture.start()


class _Capture:
    """One container's stream into one file, in a thread."""

    def __init__(
        self, file: LogFile, stream: Stream, skip: dict[int, int], *, may_lack_the_end: bool
    ) -> None:
        self.may_lack_the_end = may_lack_the_end
        self._file = file
        self._skip = skip
        self._feed = EventFeed(stream)
        # A daemon: a process that ends without `close` must not wait for a container first.
        self._thread = threading.Thread(target=self._move, name="docker-log", daemon=True)

    @property
    def has_ended(self) -> bool:
        """Whether the stream has come to its end."""
        return self._thread.ident is not None and not self._thread.is_alive()

    def say(self, text: str) -> None:
        """Write a mark, before `start`."""
        self._file.mark(text)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def close(self) -> None:
        """End the stream."""
        self._feed.close()

    def join(self, within_s: float) -> None:
        """Wait for the stream's end."""
        self._thread.join(within_s)

    def _move(self) -> None:
        said: Iterator[Any] = iter(self._feed)
        for pair in said:
            for stream, data in zip((STDOUT, STDERR), pair, strict=True):
                if data:
                    self._write(stream, data)
        self._feed.close()
        self._file.close()

    def _write(self, stream: int, data: bytes) -> None:
        known = min(self._skip.get(stream, 0), len(data))
        if known:
            self._skip[stream] -= known
        if data[known:]:
            self._file.write(stream, data[known:])


def _said(client: Any, container_id: str, before: Before, *, follow: bool) -> tuple[Stream, bool]:
    """Return what the container said and says; and whether what it said at first is gone."""
    if before.first_us:
        kept_from_us = first_kept_us(client, container_id)
        if kept_from_us is not None and kept_from_us > before.first_us + _SAME_MOMENT_US:
            return Said(client, container_id, follow=follow, since_us=before.last_us), True
    return Said(client, container_id, follow=follow), False


def _has_run(container: Json) -> bool:
    return translate.engine_time(container["State"]["StartedAt"]) is not None
