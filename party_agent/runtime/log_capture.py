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

HEADER = struct.Struct(">BQI")
STDOUT, STDERR, MARK = 1, 2, 3
MAX_DATA_BYTES = 32_000

_READ_BYTES = 64_000


class LogFile:
    """Appends records to a file that grows to `most_bytes`, and marks beyond it."""

    def __init__(self, path: Path, *, most_bytes: int) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._most_bytes = most_bytes
        self._size_bytes = os.fstat(self._file).st_size
        self._last_us = 0
        self._dropped_bytes = 0
        self._is_cut = False

    def write(self, stream: int, data: bytes) -> None:
        """Append what came over a stream, or count it where there is no room."""
        framed = b"".join(
            self._framed(stream, data[start : start + MAX_DATA_BYTES])
            for start in range(0, len(data), MAX_DATA_BYTES)
        )
        if self._is_cut or self._size_bytes + len(framed) > self._most_bytes:
            if not self._is_cut:
                self._is_cut = True
                self._mark(f"the log has reached its limit of {self._most_bytes} bytes")
            self._dropped_bytes += len(data)
            return
        if self._dropped_bytes and not self._is_cut:
            # There is room again on the disk: what is missing is said where it is missing.
            self._say_dropped()
        if (self._dropped_bytes and not self._is_cut) or not self._append(framed):
            self._dropped_bytes += len(data)

    def close(self) -> None:
        """Say what was dropped, and make the rest durable."""
        if self._dropped_bytes:
            self._say_dropped()
        with contextlib.suppress(OSError):
            os.fsync(self._file)
        os.close(self._file)

    def _say_dropped(self) -> None:
        if self._mark(f"{self._dropped_bytes} bytes dropped"):
            self._dropped_bytes = 0

    def _mark(self, text: str) -> bool:
        return self._append(self._framed(MARK, text.encode()))

    def _framed(self, stream: int, data: bytes) -> bytes:
        # Clocks go back; the times of a log do not.
        self._last_us = max(self._last_us, time.time_ns() // 1000)
        return HEADER.pack(stream, self._last_us, len(data)) + data

    def _append(self, framed: bytes) -> bool:
        try:
            written = os.write(self._file, framed)
            if written == len(framed):
                self._size_bytes += written
                return True
        except OSError:
            pass
        # Half a record would make all that follows unreadable.
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, self._size_bytes)
        return False


class Capture:
    """Moves two pipes into a log file until nobody can write to them any more."""

    def __init__(self, path: Path, *, most_bytes: int) -> None:
        self._log = LogFile(path, most_bytes=most_bytes)
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
