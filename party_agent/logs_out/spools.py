"""The site's logs on disk: one folder per party run, until the server has all of it.

Beside `log`, the framed records as the runtime wrote them, a file `withheld` says that the
site's rules keep what the workload wrote from leaving; then there is no log.
"""

import contextlib
import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import zstandard

from flow_contract.log_records import (
    MAX_CHUNK_BYTES,
    BadLog,
    LogRecord,
    LogStream,
    at_of,
    extent,
    frame,
    us_of,
    whole_bytes,
)
from flow_contract.logs import LogChunk
from party_agent.policy.rules import MayLeave
from party_agent.settings import AgentSettings

S = TypeVar("S", bound="Spools")

_LOG = "log"
_WITHHELD = "withheld"
_READ_BYTES = 16 * MAX_CHUNK_BYTES
_LEVEL = 1


@dataclass(frozen=True, kw_only=True)
class Room:
    """Where a log may be written, how much of it, and how much of all logs together."""

    path: Path
    most_bytes: int
    site_bytes: int


class Spools:
    """The logs below `folder`. All methods block on the disk, briefly."""

    def __init__(self, folder: Path, *, bytes_per_run: int, bytes_of_site: int) -> None:
        self._folder = folder
        self._bytes_per_run = bytes_per_run
        self._bytes_of_site = bytes_of_site

    def room_for(self, party_run_id: str, may_leave: MayLeave) -> Room | None:
        """Make room for a party run's log; None if it is withheld. May be repeated."""
        folder = self._folder / party_run_id
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not may_leave.logs:
            (folder / _WITHHELD).touch()
            return None
        bounds = [self._bytes_per_run]
        if may_leave.logs_max_bytes is not None:
            bounds.append(may_leave.logs_max_bytes)
        return Room(
            path=folder / _LOG, most_bytes=min(bounds), site_bytes=max(1, self._bytes_of_site)
        )

    def names(self) -> list[str]:
        """Return the party runs that have a folder here."""
        try:
            return sorted(path.name for path in self._folder.iterdir() if path.is_dir())
        except FileNotFoundError:
            return []

    def size_bytes(self, party_run_id: str) -> int:
        """Return how long a log is by now."""
        try:
            return (self._folder / party_run_id / _LOG).stat().st_size
        except FileNotFoundError:
            return 0

    def last_bytes(self, party_run_id: str, most: int) -> bytes:
        """Return how a log ends by now, framed; nothing where it can't be read."""
        try:
            with (self._folder / party_run_id / _LOG).open("rb") as file:
                file.seek(max(0, self.size_bytes(party_run_id) - most))
                return file.read(most)
        except OSError:
            return b""

    def is_withheld(self, party_run_id: str) -> bool:
        """Say whether the site keeps this log to itself."""
        return (self._folder / party_run_id / _WITHHELD).exists()

    def chunks(self, party_run_id: str, start: int) -> list[LogChunk]:
        """Return the next chunks of a log, packed; none where nothing is whole yet.

        Raises:
            BadLog: the file is damaged at `start`; what is sound before damage is returned.
        """
        if self.is_withheld(party_run_id):
            return []
        try:
            with (self._folder / party_run_id / _LOG).open("rb") as file:
                file.seek(start)
                data = file.read(_READ_BYTES)
        except FileNotFoundError:
            return []
        chunks: list[LogChunk] = []
        try:
            chunks.extend(_chunks(party_run_id, start, data))
        except BadLog:
            if not chunks:
                raise
        return chunks

    def cut_short(self, party_run_id: str, at_byte: int, at: datetime, mark: str) -> None:
        """Let a log end with a mark at this offset; what follows is lost. May be repeated.

        Only for one that nobody writes to any more. Raises OSError.
        """
        path = self._folder / party_run_id / _LOG
        if not path.exists():
            return
        record = LogRecord(stream=LogStream.MARK, at_us=us_of(at), data=mark.encode())
        with path.open("r+b") as file:
            file.truncate(at_byte)
            file.seek(at_byte)
            file.write(frame(record))

    def remove(self, party_run_id: str) -> None:
        """Remove a log that nobody needs here any more."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._folder / party_run_id)

    def remove_old(self, before: datetime, held: Collection[str]) -> list[str]:
        """Remove logs that nobody has written to since `before`, but those `held`; return whose."""
        removed = []
        for party_run_id in self.names():
            if party_run_id not in held and self._changed_at(party_run_id) < before:
                self.remove(party_run_id)
                removed.append(party_run_id)
        return removed

    def _changed_at(self, party_run_id: str) -> datetime:
        folder = self._folder / party_run_id
        times = [0.0]
        for path in (folder, folder / _LOG):
            with contextlib.suppress(FileNotFoundError):
                times.append(path.stat().st_mtime)
        return datetime.fromtimestamp(max(times), UTC)


def spools_of(settings: AgentSettings, make: Callable[..., S]) -> S | None:
    """Return the site's spools as `make` makes them, None where nothing is kept on disk."""
    if settings.state_dir is None:
        return None
    return make(
        settings.state_dir.absolute() / "logs",
        bytes_per_run=settings.log_bytes_per_run,
        bytes_of_site=settings.log_bytes_of_site,
    )


def _chunks(party_run_id: str, start: int, data: bytes) -> Iterator[LogChunk]:
    position = 0
    packer = zstandard.ZstdCompressor(level=_LEVEL)
    while whole := whole_bytes(data[position : position + MAX_CHUNK_BYTES], up_to_damage=True):
        raw = data[position : position + whole]
        found = extent(raw)
        yield LogChunk(
            party_run_id=party_run_id,
            start=start + position,
            raw_bytes=whole,
            first_at=at_of(found.first_at_us),
            last_at=at_of(found.last_at_us),
            lines=found.lines,
            data=packer.compress(raw),
        )
        position += whole
