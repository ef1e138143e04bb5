"""Starts a supervisor and waits until its start phase is over."""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from party_agent.runtime import supervisor
from party_agent.runtime.port import RuntimeUnavailable

# What the interpreter itself may need; the workload's environment stands in its spec.
_INTERPRETER_ENV = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH")


async def start_supervisor(
    folder: Path,
    env: Mapping[str, str],
    spawned: Callable[[int], None],
    *,
    timeout_s: float,
) -> None:
    """Let a supervisor try to start the workload of `folder`; what came of it stands there.

    Returns too when the supervisor died, and when the folder is gone. It is in a session of its
    own and goes on if this is cancelled. `spawned` is told its pid, and must see to it that it is
    reaped.

    Raises:
        RuntimeUnavailable: it can't be started, or needs longer than `timeout_s`.
    """
    try:
        async with asyncio.timeout(timeout_s):
            await _start(folder, env, spawned)
    except FileNotFoundError:
        # Removed meanwhile: there was nowhere to write its log.
        return
    except TimeoutError:
        raise RuntimeUnavailable(f"the workload did not start in {timeout_s:g} seconds") from None
    except OSError as problem:
        raise RuntimeUnavailable(f"no supervisor can be started: {problem.strerror}") from problem


async def _start(folder: Path, env: Mapping[str, str], spawned: Callable[[int], None]) -> None:
    answer_read, answer_write = os.pipe()
    loop = asyncio.get_running_loop()
    answered = asyncio.Event()
    try:
        try:
            spawned(_spawn(folder, env, answer_write))
        finally:
            os.close(answer_write)
        loop.add_reader(answer_read, answered.set)
        await answered.wait()
    finally:
        loop.remove_reader(answer_read)
        os.close(answer_read)


def _spawn(folder: Path, env: Mapping[str, str], answer: int) -> int:
    log = str(folder / "supervisor.log")
    return os.posix_spawn(
        sys.executable,
        [sys.executable, "-I", "-S", supervisor.__file__, str(folder)],
        {name: env[name] for name in _INTERPRETER_ENV if name in env},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, answer, 1),
            (os.POSIX_SPAWN_OPEN, 2, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        ],
        setsid=True,
        setsigmask=(),
    )
