"""Reads a workload's two pipes and writes what comes as framed records; standard library only.

Runs in a thread of the supervisor, so that no agent's death loses a byte. The frame is that of
flow_contract.log_records, said again because the supervisor can import nothing of Fedflow.

Invariant: the file holds whole records; what could not be written is counted, and a mark says so.
"""

import contextlib
import os
import selectors
import struct
import threading
import time
from pathlib import Path
from typing import Any

HEADER = struct.Struct(">BQI")
STDOUT, STDERR, MARK = 1, 2, 3
# How the mark of a log begins that takes no more.
LIMIT_REACHED = "the log has reached its limit"
NAMES = {STDOUT: "stdout", STDERR: "stderr"}
MAX_DATA_BYTES = 32_000

_READ_BYTES = 64_000
# How far one log may grow before it looks again what room the site has left.
_GRANT_BYTES = 1024**2
# Beyond the site's limit, how often it looks.
_LOOK_EVERY_S = 0.5


class LogFile:
    """Appends records to a file that grows to `most_bytes`, and marks beyond it.

    `site_bytes` is what it and the other logs beside it may hold together, a grant of each
    besides; 0 is no bound. A file that can't be opened or written now is tried again.
    """

    def __init__(
        self,
        path: Path,
        *,
        most_bytes: int,
        site_bytes: int = 0,
        last_us: int = 0,
        is_cut: bool = False,
    ) -> None:
        """Go on with what is there; `last_us` is its last time, `is_cut` that its limit is said."""
        self._path = path
        self._file = -1
        self._most_bytes = most_bytes
        self._site_bytes = site_bytes
        self._size_bytes = 0
        self._last_us = last_us
        self._dropped_bytes = {STDOUT: 0, STDERR: 0}
        self._is_cut = is_cut
        # Up to which size the site has room, as far as we last looked.
        self._granted_bytes = 0
        self._look_again_s = 0.0
        self._is_refused = False
        self._open()

    def write(self, stream: int, data: bytes) -> None:
        """Append what came over a stream, or count it where there is no room."""
        for start in range(0, len(data), MAX_DATA_BYTES):
            piece = data[start : start + MAX_DATA_BYTES]
            if not self._kept(stream, piece):
                self._dropped_bytes[stream] += len(piece)

    def mark(self, text: str) -> bool:
        """Append a sentence of the site's own; False if it can't be written now."""
        return self._append(self._framed(MARK, text.encode()))

    def close(self) -> None:
        """Say what was dropped, and make the rest durable."""
        self._say_dropped()
        if self._open():
            with contextlib.suppress(OSError):
                os.fsync(self._file)
            os.close(self._file)
            self._file = -1

    def _kept(self, stream: int, piece: bytes) -> bool:
        if self._is_cut:
            return False
        more_bytes = HEADER.size + len(piece)
        if self._size_bytes + more_bytes > self._most_bytes:
            self._is_cut = True
            self.mark(f"{LIMIT_REACHED} of {self._most_bytes} bytes")
            return False
        if not self._has_room_at_site(more_bytes):
            return False
        # There is room again on the disk: what is missing is said where it is missing.
        return self._say_dropped() and self._append(self._framed(stream, piece))

    def _has_room_at_site(self, more_bytes: int) -> bool:
        wanted_bytes = self._size_bytes + more_bytes
        if not self._site_bytes or wanted_bytes <= self._granted_bytes:
            return True
        if time.monotonic() < self._look_again_s:
            return False
        left_bytes = self._site_bytes - _bytes_of_logs(self._path.parent.parent)
        self._granted_bytes = self._size_bytes + min(left_bytes, _GRANT_BYTES)
        if wanted_bytes <= self._granted_bytes:
            self._is_refused = False
            return True
        self._look_again_s = time.monotonic() + _LOOK_EVERY_S
        if not self._is_refused:
            self._is_refused = True
            self.mark(f"the site's logs have reached their limit of {self._site_bytes} bytes")
        return False

    def _say_dropped(self) -> bool:
        """Say it, if there is something to be said; False if it can't be said now."""
        for stream, count in self._dropped_bytes.items():
            if count and not self.mark(f"{count} bytes dropped from {NAMES[stream]}"):
                return False
            self._dropped_bytes[stream] = 0
        return True

    def _framed(self, stream: int, data: bytes) -> bytes:
        # Clocks go back; the times of a log do not.
        self._last_us = max(self._last_us, time.time_ns() // 1000)
        return HEADER.pack(stream, self._last_us, len(data)) + data

    def _append(self, record: bytes) -> bool:
        """Append one record. Half of one would make all that follows unreadable.

        One, because what was once whole in the file may have been read and sent.
        """
        if not self._open():
            return False
        try:
            written = os.write(self._file, record)
            if written == len(record):
                self._size_bytes += written
                return True
        except OSError:
            pass
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, self._size_bytes)
        return False

    def _open(self) -> bool:
        if self._file < 0:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            with contextlib.suppress(OSError):
                self._file = os.open(self._path, flags, 0o600)
                self._size_bytes = os.fstat(self._file).st_size
        return self._file >= 0


def _bytes_of_logs(folder: Path) -> int:
    """Return how much the logs of all party runs hold, each called alike in its own directory."""
    total = 0
    with contextlib.suppress(OSError):
        for other in folder.glob("*/log"):
            with contextlib.suppress(OSError):
                total += other.stat().st_size
    return total


class Capture:
    """Moves two pipes into a log file until nobody can write to them any more."""

    def __init__(self, path: Path, *, most_bytes: int, site_bytes: int = 0) -> None:
        self._log = LogFile(path, most_bytes=most_bytes, site_bytes=site_bytes)
        self._pipes = {stream: os.pipe() for stream in (STDOUT, STDERR)}
        self._thread = threading.Thread(target=self._move, name="log-capture", daemon=True)

    def enter_child(self) -> None:
        """Make the pipes the standard streams of this process, which is the workload to be."""
        for stream, (_, write) in self._pipes.items():
            os.dup2(write, stream)

    def start(self) -> None:
        """Begin to read; only what was started since `Capture` was made can write."""
        for _, write in self._pipes.values():
            os.close(write)
        self._thread.start()

    def finish(self, *, within_s: float) -> None:
        """Wait until all is read; who gave a pipe away to a stranger is not waited for longer."""
        self._thread.join(within_s)

    def _move(self) -> None:
        with selectors.DefaultSelector() as selector:
            for stream, (read, _) in self._pipes.items():
                selector.register(read, selectors.EVENT_READ, stream)
            while selector.get_map():
                for key, _ in selector.select():
                    data = os.read(key.fd, _READ_BYTES)
                    if data:
                        self._log.write(key.data, data)
                    else:
                        selector.unregister(key.fd)
                        os.close(key.fd)
        self._log.close()


def capture_of(spec: dict[str, Any]) -> Capture:
    """Return the capture of a supervisor's workload, not yet begun."""
    return Capture(
        Path(spec["log"]),
        most_bytes=spec["log_max_bytes"],
        # One that was prepared before an upgrade knows nothing of it.
        site_bytes=spec.get("log_site_max_bytes", 0),
    )
