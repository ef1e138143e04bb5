"""A child's tie to its parent: when the parent is gone, however it went, the child is asked to end.

Linux only; elsewhere the parent does not ask for it.
"""

import os
import select
import signal
import sys
import threading
from typing import Any, TextIO, cast

AVAILABLE = hasattr(os, "pidfd_open")


def end_with_parent(parent_pid: int) -> None:
    """Send this process one SIGTERM once the process `parent_pid`, its parent, has ended.

    What is written to a parent that no longer reads is dropped: a log line that nobody can see
    must not come between the child and its orderly end.

    Raises:
        OSError: the kernel is too old to tell (Linux 5.3).
    """
    sys.stdout = cast(TextIO, UnbreakableStream(sys.stdout))
    sys.stderr = cast(TextIO, UnbreakableStream(sys.stderr))
    # Not PR_SET_PDEATHSIG: of a parent that is killed it comes once per thread, and a second
    # SIGTERM means that there is no time for an orderly end.
    try:
        parent = os.pidfd_open(parent_pid)
    except ProcessLookupError:
        parent = None
    if parent is None or os.getppid() != parent_pid:
        # It ended before we asked.
        os.kill(os.getpid(), signal.SIGTERM)
        return
    threading.Thread(target=_follow, args=(parent,), name="lifeline", daemon=True).start()


def _follow(parent: int) -> None:
    end = select.poll()
    end.register(parent, select.POLLIN)
    end.poll()
    os.kill(os.getpid(), signal.SIGTERM)


class UnbreakableStream:
    """A text stream that goes on when nobody reads it any more."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, or drop the text where the reader is gone."""
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            return len(text)

    def flush(self) -> None:
        """Flush, or drop what is buffered where the reader is gone."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            # What stays in the buffer would be tried again, and complained of, at exit.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
