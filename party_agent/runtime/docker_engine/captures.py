"""Writes what containers say into their logs: attached before the start, a thread each.

The engine keeps what a container wrote too. An agent that was restarted has it read to it from the
beginning, and leaves out as many bytes of each stream as stand in the log already.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

from flow_contract.log_records import LogStream, records, whole_bytes
from party_agent.runtime.docker_engine import translate
from party_agent.runtime.docker_engine.client import Engine, Json
from party_agent.runtime.docker_engine.feed import EventFeed, Stream
from party_agent.runtime.docker_engine.said import Heard, Said
from party_agent.runtime.log_capture import STDERR, STDOUT, LogFile

# For what an engine has still to hand over of a container that has ended.
_LAST_WORDS_S = 30.0
_ANY_BYTES = 2**62

log = structlog.get_logger()


class Captures:
    """The logs of one agent's containers, by container id. One caller at a time per container."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._running: dict[str, _Capture] = {}

    async def begin(self, container: Json, *, again: bool = False) -> None:
        """Write what the container says from now on, `again` what it said before and is missing.

        Raises:
            EngineError, RuntimeUnavailable: the engine does not hand it over.
        """
        container_id = str(container["Id"])
        found = translate.labels(container)
        if translate.LABEL_LOG not in found or container_id in self._running:
            return
        listen = Said if again else Heard
        stream = await self._engine.stream(lambda client: listen(client, container_id))
        capture = await asyncio.to_thread(
            _Capture,
            Path(found[translate.LABEL_LOG]),
            int(found.get(translate.LABEL_LOG_MAX_BYTES, "0")),
            stream,
        )
        self._running[container_id] = capture
        capture.start()

    async def finish(self, container: Json) -> None:
        """Return once all that an ended container said is written, or the engine is too slow."""
        if container["State"]["Running"]:
            return
        if translate.observation(container) is not None and _has_run(container):
            await self.begin(container, again=True)
        await self.ended(str(container["Id"]))

    async def ended(self, container_id: str) -> None:
        """Wait for the last words of a container that is gone, and forget it."""
        capture = self._running.get(container_id)
        if capture is not None:
            await asyncio.to_thread(capture.join, _LAST_WORDS_S)
            self._running.pop(container_id, None)

    async def aclose(self) -> None:
        """Stop writing; containers and their logs at the engine go on."""
        running, self._running = self._running, {}
        for capture in running.values():
            capture.close()
        for capture in running.values():
            await asyncio.to_thread(capture.join, _LAST_WORDS_S)


class _Capture:
    """One container's stream into one file, in a thread."""

    def __init__(self, path: Path, most_bytes: int, stream: Stream) -> None:
        self._skip = _prepare(path)
        self._file = LogFile(path, most_bytes=most_bytes)
        self._feed = EventFeed(stream)
        # A daemon: a process that ends without `close` must not wait for a container first.
        self._thread = threading.Thread(target=self._move, name="docker-log", daemon=True)

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


def _prepare(path: Path) -> dict[int, int]:
    """Cut a half-written record off; return how many bytes of each stream there are."""
    sizes = {STDOUT: 0, STDERR: 0}
    with suppress(FileNotFoundError):
        framed = path.read_bytes()
        whole = whole_bytes(framed, most=_ANY_BYTES)
        if whole < len(framed):
            with path.open("r+b") as file:
                file.truncate(whole)
        for record in records(framed[:whole]):
            if record.stream is not LogStream.MARK:
                sizes[int(record.stream)] += len(record.data)
    return sizes


def _has_run(container: Json) -> bool:
    return translate.engine_time(container["State"]["StartedAt"]) is not None
