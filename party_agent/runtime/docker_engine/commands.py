"""Pure: where a container would look for its command.

The engine's init starts first and only then looks for the command, so the engine's start
call succeeds for a command that does not exist. What stands here lets the runtime notice
beforehand that a start is doubtful, and recognise afterwards that it failed.
"""

import posixpath
from typing import Any

from party_agent.runtime.port import Workload

# What the engine sets where neither image nor workload does.
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_INIT_GAVE_UP = "[FATAL tini"
_EXEC_CODES = (126, 127)

_GO_DIRECTORY = 1 << 31
_ANY_EXECUTE = 0o111


def candidates(workload: Workload, image: dict[str, Any]) -> tuple[str, ...]:
    """Return the paths in the container that its command may mean, in order of the search."""
    config = image.get("Config") or {}
    full = [*(config.get("Entrypoint") or ()), *(workload.command or config.get("Cmd") or ())]
    if not full:
        return ()
    command = str(full[0])
    workdir = posixpath.join("/", workload.workdir or config.get("WorkingDir") or "/")
    if "/" in command:
        return (posixpath.normpath(posixpath.join(workdir, command)),)
    env = dict(str(entry).partition("=")[::2] for entry in config.get("Env") or ())
    path = {**env, **workload.env}.get("PATH", _DEFAULT_PATH)
    return tuple(
        posixpath.normpath(posixpath.join(workdir, folder, command)) for folder in path.split(":")
    )


def is_executable(mode: int) -> bool:
    """Say whether a file of this mode, as the engine gives it, could be executed by anybody."""
    return not mode & _GO_DIRECTORY and bool(mode & _ANY_EXECUTE)


def may_be_exec_failure(state: dict[str, Any]) -> bool:
    """Say whether the exit code alone allows that the command was never executed."""
    return not state["Running"] and state["ExitCode"] in _EXEC_CODES


def is_exec_failure(stderr: str) -> bool:
    """Say whether the engine's init itself reports that it could not execute the command."""
    return _INIT_GAVE_UP in stderr
