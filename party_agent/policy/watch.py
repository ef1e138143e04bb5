"""The rules in force: fixed, or those of a file that may change under a running agent.

A file that is broken, missing or unreadable changes nothing: the last good rules stay.
"""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import structlog

from party_agent.policy.load import MAX_FILE_BYTES, PolicyInvalid, Problem, load
from party_agent.policy.rules import Rules

# For who asks for nothing else: a change is seen at each decision anyway.
LOOK_EVERY_S = 2.0

# An editor that writes in place may have written only half of it: left-out rules allow.
SETTLED_S = 0.5

_Signature = tuple[int, int, int, int]

log = structlog.get_logger()


class PolicySource(Protocol):
    """Knows the rules in force. `is_fixed`: they never change."""

    is_fixed: bool

    @property
    def rules(self) -> Rules:
        """The rules in force, as last read."""

    def refresh(self) -> bool:
        """Read them again if they may have changed; return whether they have. May block."""


class FixedPolicy:
    """Rules that never change."""

    is_fixed = True

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    @property
    def rules(self) -> Rules:
        """The rules."""
        return self._rules

    def refresh(self) -> bool:
        """Return False."""
        return False


class PolicyFile:
    """The rules of a file. Safe to use from several threads.

    Invariant: `rules` are always those of one whole file that was found to be good.
    """

    is_fixed = False

    def __init__(self, path: Path, *, now_s: Callable[[], float] = time.time) -> None:
        """Read the file.

        Raises:
            PolicyInvalid: it can't be followed, or can't be read.
        """
        self._path = path
        self._now_s = now_s
        self._lock = threading.Lock()
        seen, content = _read(path)
        self._seen: _Signature | None = seen
        self._rules = load(content, name=str(path))

    @property
    def rules(self) -> Rules:
        """The rules of the newest good file."""
        return self._rules

    def refresh(self) -> bool:
        """Read the file if it is another than last time; return whether the rules changed."""
        with self._lock:
            try:
                seen = _signature(os.stat(self._path))  # noqa: PTH116  the same shape as fstat
            except OSError:
                seen = None
            if seen == self._seen or (seen is not None and self._is_fresh(seen)):
                return False
            try:
                seen, content = _read(self._path)
                if self._is_fresh(seen):
                    return False
                rules = load(content, name=str(self._path))
            except PolicyInvalid as error:
                problems = [problem.text(str(self._path)) for problem in error.problems]
                log.error("policy_invalid", problems=problems, kept="the last good rules")  # noqa: TRY400  no defect of ours
                self._seen = seen
                return False
            self._seen = seen
            if rules == self._rules:
                return False
            self._rules = rules
            log.info("policy_reloaded", path=str(self._path))
            return True

    def _is_fresh(self, seen: _Signature) -> bool:
        # A clock that lags behind the disk's must not put a change off for ever.
        return 0 <= self._now_s() - seen[0] / 1e9 < SETTLED_S


def _read(path: Path) -> tuple[_Signature, bytes]:
    try:
        with path.open("rb") as file:
            seen = _signature(os.fstat(file.fileno()))
            return seen, file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        what = error.strerror or type(error).__name__
        problem = Problem(line=1, key="", message=f"can't be read: {what}")
        raise PolicyInvalid(str(path), [problem]) from None


def _signature(status: os.stat_result) -> _Signature:
    return status.st_mtime_ns, status.st_ino, status.st_dev, status.st_size
