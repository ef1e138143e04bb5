"""Child processes that die with us: started through pg_exec.py, awaited without a thread."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import IO

from flow_server.storage.pg_account import Account

_LAUNCHER = Path(__file__).with_name("pg_exec.py")
_POLL_S = 0.05

# The caller's PG* variables must not reach the server, nor its locale or time zone.
_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}

Process = subprocess.Popen[bytes]


def spawn(
    program: list[str],
    *,
    account: Account | None,
    directory: Path,
    log: IO[bytes],
    keep_fds: tuple[int, ...] = (),
) -> Process:
    """Start `program` in a session of its own; it gets SIGINT when this thread ends.

    Call it from a thread that lives as long as the program should: the main one. The own
    session keeps the terminal's Ctrl-C away from it.
    """
    who = "-" if account is None else str(account)
    return subprocess.Popen(  # noqa: S603 -- our own launcher and PostgreSQL's programs
        [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), who, *program],
        cwd=directory,
        env=_ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        pass_fds=keep_fds,
    )


async def exited(process: Process) -> int:
    """Return the exit code once the process has ended, and reap it."""
    code = process.poll()
    if code is not None:
        return code
    try:
        handle = os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        # Not Linux, an old kernel, or a sandbox that forbids it.
        return await _polled(process)
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(handle, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)
    return process.wait()


async def _polled(process: Process) -> int:
    # No event tells it where there is no pidfd.
    while (code := process.poll()) is None:  # noqa: ASYNC110
        await asyncio.sleep(_POLL_S)
    return code
