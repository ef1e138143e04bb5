"""A child's tie to its parent: when the parent is gone, however it went, the child is asked to end.

Linux only; elsewhere the parent does not ask for it.
"""

import ctypes
import os
import signal
import sys

AVAILABLE = sys.platform == "linux"

_PR_SET_PDEATHSIG = 1


def end_with_parent(parent_pid: int) -> None:
    """Send this process SIGTERM as soon as the process `parent_pid`, its parent, ends.

    Raises:
        OSError: the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl: {os.strerror(code)}")
    if os.getppid() != parent_pid:
        # It ended before the kernel was asked, which then has nothing to tell.
        os.kill(os.getpid(), signal.SIGTERM)
