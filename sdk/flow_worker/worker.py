"""The one worker of a process: takes what is reported, and a thread that sends it on.

A forked child begins with a worker of its own: what its parent has not sent stays the parent's.
"""

from __future__ import annotations

import atexit
import math
import os
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from typing import Any

from flow_worker import environment
from flow_worker.buffer import BATCH_POINTS, Buffer
from flow_worker.connection import Away, Connection, Refused

MAX_NAME_LENGTH = 128
MAX_TEXT_LENGTH = 1_000
EXIT_FLUSH_S = 5.0
# For further points to share a request.
_LINGER_S = 0.02
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
_MAX_NOTICES = 100


class Worker:
    """Reports to the agent behind `path`; "" means that there is none, and nothing is kept.

    `said` are the notices that were given already: each is worth one line.
    """

    def __init__(self, path: str, said: set[str]) -> None:
        self._connection = Connection(path)
        self._is_alone = not path
        self._said = said
        self._buffer = Buffer(uuid.uuid4().hex[:12])
        self._steps: dict[str, int] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def progress(self, epoch: Any, total: Any) -> None:
        """Report how far the workload is."""
        done, of = _whole(epoch), _whole(total)
        if done is None or done < 0 or (total is not None and (of is None or of < 0)):
            self._notice("progress", "progress wants whole numbers from 0; left out")
        elif self._may_send():
            self._buffer.set_progress({"epoch": done, "total": of})

    def metrics(self, values: Mapping[str, Any], step: Any) -> None:
        """Report numbers, those that can't be stored left out."""
        now_s = time.time()
        at_step = _whole(step)
        if step is not None and at_step is None:
            self._notice("step", "a step must be a whole number; the points are left out")
            return
        if not isinstance(values, Mapping):
            self._notice("values", "metrics wants a dictionary of numbers; left out")
            return
        for name, value in values.items():
            number = _finite(value)
            if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_LENGTH:
                self._notice("name", f"a metric's name has 1 to {MAX_NAME_LENGTH} characters")
            elif number is None:
                what = f"metric {name!r} is no finite number; such points are left out"
                self._notice("value " + name, what)
            elif self._may_send():
                with self._lock:
                    own = at_step if at_step is not None else self._steps.get(name, -1) + 1
                    self._steps[name] = own
                point = {"name": name, "value": number, "step": own, "time": now_s}
                self._buffer.add_point(point)
                self._tell_dropped()

    def message(self, text: Any) -> None:
        """Report a sentence, its end cut off where it is too long."""
        if self._may_send():
            self._buffer.add_message(str(text)[:MAX_TEXT_LENGTH])

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything was sent, `timeout_s` at most."""
        return self._thread is None or self._buffer.wait_empty(timeout_s)

    def end(self) -> None:
        """Flush for the last time and say what was lost."""
        if not self.flush(EXIT_FLUSH_S):
            left = self._buffer.waiting_points()
            self._notice("end", f"the agent did not answer; {left} points are lost")
        elif self._buffer.dropped:
            self._notice("dropped all", f"{self._buffer.dropped} points were dropped")

    def inherited(self) -> Worker:
        """Return the worker of a child that was forked off."""
        return Worker(environment.socket_path(), self._said)

    def _may_send(self) -> bool:
        if self._is_alone:
            self._notice("alone", "not inside Fedflow (no FEDFLOW_API): nothing is reported")
            return False
        if self._thread is None:
            self._begin()
        return True

    def _begin(self) -> None:
        with self._lock:
            if self._thread is not None:
                return
            self._thread = threading.Thread(target=self._send, name="flow_worker", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:
                # No more threads, or the interpreter is ending: the buffer is bounded anyway.
                self._notice("thread", "no thread can be started; nothing is reported")
                return
        atexit.register(self.end)
        # A process of multiprocessing ends without atexit, and by these.
        util = sys.modules.get("multiprocessing.util")
        if util is not None:
            util.Finalize(None, self.end, exitpriority=10)

    def _send(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            path, body = self._buffer.next()
            try:
                self._connection.post(path, body)
            except Away:
                time.sleep(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
                continue
            except Refused as refusal:
                self._notice("refused " + path, f"the agent refused a report: {refusal}")
                self._buffer.refused()
            else:
                self._buffer.sent()
            pause_s = _FIRST_PAUSE_S
            if len(body.get("points", ())) < BATCH_POINTS:
                time.sleep(_LINGER_S)

    def _tell_dropped(self) -> None:
        if self._buffer.dropped:
            self._notice("dropped", "the agent is away or slow; the oldest points are dropped")

    def _notice(self, kind: str, text: str) -> None:
        if kind in self._said or len(self._said) >= _MAX_NOTICES:
            return
        self._said.add(kind)
        try:
            sys.stderr.write(f"flow_worker: {text}\n")
        except (OSError, ValueError, AttributeError):
            # A closed stderr is the workload's own business.
            return


# Made here and not at the first call, which several threads may make at once.
_worker = Worker(environment.socket_path(), set())


def current() -> Worker:
    """Return this process's worker."""
    return _worker


def _forked() -> None:
    global _worker  # noqa: PLW0603  one per process is what it is
    _worker = _worker.inherited()


def _finite(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return None
    return number if math.isfinite(number) else None


def _whole(value: Any) -> int | None:
    number = None if value is None else _finite(value)
    return int(number) if number is not None and number == int(number) else None


os.register_at_fork(after_in_child=_forked)
