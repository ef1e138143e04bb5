"""Writes the log in a thread of its own, to whoever still reads it.

A log is for people: a pipe whose reader has gone, or a terminal that somebody has stopped, must
neither end the agent nor hold it up.
"""

import os
import threading
from collections import deque

# What a reader may fall behind; then lines are dropped, and it is said how many.
MAX_LINES = 10_000
# For the last lines, when the process ends.
CLOSE_S = 2.0


class LogWriter:
    """A text file to its callers, who never wait and never hear of an error."""

    def __init__(self, descriptor: int, *, max_lines: int = MAX_LINES) -> None:
        """Write to `descriptor`, which stays the caller's."""
        self._descriptor = descriptor
        self._max_lines = max_lines
        self._lines: deque[str] = deque()
        self._dropped = 0
        self._is_closed = False
        self._news = threading.Condition()
        # A daemon: a reader that has stopped must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, text: str) -> int:
        """Take over the text; it is on its way when this returns."""
        with self._news:
            if len(self._lines) >= self._max_lines:
                self._dropped += 1
            elif not self._is_closed:
                self._lines.append(text)
                self._news.notify()
        return len(text)

    def flush(self) -> None:
        """Do nothing: lines go out as soon as somebody takes them."""

    def close(self) -> None:
        """Let the last lines out, for a moment. May be called twice."""
        with self._news:
            self._is_closed = True
            self._news.notify()
        self._thread.join(CLOSE_S)

    def _run(self) -> None:
        while (text := self._next()) is not None:
            try:
                _write_all(self._descriptor, text.encode(errors="backslashreplace"))
            except OSError:
                # Nobody reads any more. The agent is not here for its log: it goes on.
                continue

    def _next(self) -> str | None:
        with self._news:
            self._news.wait_for(lambda: self._lines or self._dropped or self._is_closed)
            if self._lines:
                return self._lines.popleft()
            if self._dropped:
                dropped, self._dropped = self._dropped, 0
                return f"{dropped} lines of this log were dropped: nobody took them\n"
            return None


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
