"""What waits to be sent: bounded, and what did not fit is counted."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any

# Some minutes of a busy training while the agent is away.
MAX_POINTS = 20_000
MAX_MESSAGES = 20
BATCH_POINTS = 1_000


class Buffer:
    """Filled by the workload's threads, emptied by one that sends.

    Invariant: the request that `next` returned is returned again until `sent`.
    """

    def __init__(self, client: str) -> None:
        """Take the name under which batches are told apart from those of other processes."""
        self.dropped = 0
        self._client = client
        self._batches = 0
        self._unsaid = 0
        self._points: deque[dict[str, Any]] = deque()
        self._messages: deque[dict[str, Any]] = deque(maxlen=MAX_MESSAGES)
        self._progress: dict[str, Any] | None = None
        self._sending: tuple[str, dict[str, Any]] | None = None
        self._news = threading.Condition()

    def add_point(self, point: dict[str, Any]) -> None:
        """Keep a point; the oldest gives way to it where all places are taken."""
        with self._news:
            if len(self._points) >= MAX_POINTS:
                self._points.popleft()
                self._count_dropped(1)
            self._points.append(point)
            self._news.notify_all()

    def add_message(self, text: str) -> None:
        """Keep a message, and of many the newest."""
        with self._news:
            self._messages.append({"text": text})
            self._news.notify_all()

    def set_progress(self, progress: dict[str, Any]) -> None:
        """Keep the newest progress."""
        with self._news:
            self._progress = progress
            self._news.notify_all()

    def next(self) -> tuple[str, dict[str, Any]]:
        """Return the path and body of the next request; waits until there is one."""
        with self._news:
            while self._sending is None:
                self._sending = self._made()
                if self._sending is None:
                    self._news.wait()
            return self._sending

    def sent(self) -> None:
        """Take it that the last request has arrived, or never will."""
        with self._news:
            self._sending = None
            self._news.notify_all()

    def refused(self) -> None:
        """Count what the last request held as dropped, and go on with the next."""
        with self._news:
            if self._sending is not None:
                self.dropped += len(self._sending[1].get("points", ()))
        self.sent()

    def wait_empty(self, timeout_s: float) -> bool:
        """Return whether everything was sent within `timeout_s`."""
        until_s = time.monotonic() + timeout_s
        with self._news:
            while self._sending or self._progress or self._messages or self._points:
                left_s = until_s - time.monotonic()
                if left_s <= 0:
                    return False
                self._news.wait(left_s)
        return True

    def waiting_points(self) -> int:
        """Return how many points have not been sent."""
        with self._news:
            sending = len(self._sending[1].get("points", ())) if self._sending else 0
            return len(self._points) + sending

    def _count_dropped(self, number: int) -> None:
        self.dropped += number
        self._unsaid += number

    def _made(self) -> tuple[str, dict[str, Any]] | None:
        if self._progress is not None:
            progress, self._progress = self._progress, None
            return "/v1/progress", progress
        if self._messages:
            return "/v1/messages", self._messages.popleft()
        if not self._points:
            return None
        points = [self._points.popleft() for _ in range(min(BATCH_POINTS, len(self._points)))]
        dropped, self._unsaid = self._unsaid, 0
        self._batches += 1
        batch = f"{self._client}-{self._batches}"
        return "/v1/metrics", {"points": points, "batch": batch, "dropped": dropped}
