"""A child's tie to its parent: when the parent is gone, however it went, the child is asked to end.

Linux only; elsewhere the parent does not ask for it.
"""

import ctypes
import os
import signal
import sys
from typing import Any, TextIO, cast

AVAILABLE = sys.platform == "linux"

_PR_SET_PDEATHSIG = 1


def end_with_parent(parent_pid: int) -> None:
    """Send this process SIGTERM as soon as the process `parent_pid`, its parent, ends.

    What is written to a parent that no longer reads is dropped: a log line that nobody can see
    must not come between the child and its orderly end.

    Raises:
        OSError: the kernel refuses.
    """
    sys.stdout = cast(TextIO, UnbreakableStream(sys.stdout))
    sys.stderr = cast(TextIO, UnbreakableStream(sys.stderr))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl: {os.strerror(code)}")
    if os.getppid() != parent_pid:
        # It ended before the kernel was asked, which then has nothing to tell.
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
