"""Becomes another program as an unprivileged user that is asked to stop when its parent dies.

A script of its own, run with `python -I -S`, because the three steps have one possible order
(the kernel forgets the parent-death signal when the user changes) and because running Python
between fork and exec of a process with gRPC threads is unsafe.

    pg_exec.py PARENT_PID UID:GID:GROUPS|- PROGRAM ARGUMENT…
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def _become(account: str) -> None:
    uid, gid, groups = account.split(":")
    os.setgroups([int(group) for group in groups.split(",") if group])
    os.setresgid(int(gid), int(gid), int(gid))
    os.setresuid(int(uid), int(uid), int(uid))


def main(parent_pid: int, account: str, program: list[str]) -> None:
    """Drop privileges, tie this process to its parent's life, and become `program`."""
    # Loaded now: the interpreter's own directory may be closed to the account.
    libc = ctypes.CDLL(None, use_errno=True)
    if account != "-":
        _become(account)
    if sys.platform == "linux":
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
    if os.getppid() != parent_pid:
        # The parent died before the kernel was told; nobody is left to stop the program.
        sys.exit(1)
    # What this interpreter or the parent ignores would stay ignored after the exec.
    for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    os.execv(program[0], program)  # noqa: S606 -- becoming the program is the purpose


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
