"""What a workload becomes when it runs as a plain process: command, environment, directory.

There are no mounts, so paths inside a container mean nothing here. `FEDFLOW_DATA_DIR` and
`FEDFLOW_OUTPUT_DIR` hold the host's own paths, and `FEDFLOW_MOUNTS` (JSON) maps the target of
every bind to its path, for whatever else a template mounts. Paths in the command's arguments
are not rewritten.

The workdir is used if the host has it; otherwise the workload starts in an empty directory of
its own, as it would in a container whose image lacks the workdir.

Limits: `memory_bytes` bounds the private writable memory of each process of the workload
(RLIMIT_DATA: allocation fails, nothing is killed). `cpus` only sets `OMP_NUM_THREADS`. `pids`,
`shm_bytes`, `user` and `network` are not enforced. No process gains rights by what it executes.
"""

import errno
import json
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flow_contract.reasons import Reason, sentence
from flow_contract.templates import Network
from party_agent.runtime.neighbours import addresses
from party_agent.runtime.port import Bind, RuntimeRefused, Workload
from party_agent.runtime.supervisor import NOT_EXECUTABLE_CODE, NOT_FOUND_CODE

# All that a workload gets of the agent's own environment, which may hold secrets.
_INHERITED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH")
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Names the scratch directory to the workload, and the workload's processes to us.
MARK = "FEDFLOW_SCRATCH_DIR"

HOME, TEMPORARY, WORK = "home", "tmp", "work"


def inherited_env(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what of the agent's environment is passed on, `python` being the agent's own."""
    env = {name: environ[name] for name in _INHERITED if name in environ}
    path = env.get("PATH", _DEFAULT_PATH)
    return {**env, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{path}"}


def environment(workload: Workload, folder: Path, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the child's whole environment."""
    paths = {bind.target.rstrip("/"): str(bind.source) for bind in workload.binds}
    gpus = ",".join(workload.gpu_ids)
    env = {
        **inherited,
        "HOME": str(folder / HOME),
        "TMPDIR": str(folder / TEMPORARY),
    }
    if workload.resources.cpus is not None:
        env["OMP_NUM_THREADS"] = str(max(1, math.ceil(workload.resources.cpus)))
    env |= workload.env
    for name, target in (("FEDFLOW_DATA_DIR", "/data"), ("FEDFLOW_OUTPUT_DIR", "/output")):
        if target in paths:
            env[name] = paths[target]
    for bind in workload.binds:
        if bind.is_agents:
            env |= _moved(env, bind)
    return env | {
        "FEDFLOW_MOUNTS": json.dumps(paths),
        "CUDA_VISIBLE_DEVICES": gpus,
        "NVIDIA_VISIBLE_DEVICES": gpus or "void",
        MARK: str(folder),
    }


def _moved(env: Mapping[str, str], bind: Bind) -> dict[str, str]:
    """Return the variables that name paths below what the agent made, with the host's paths."""
    inside = f"{bind.target}/"
    return {
        name: os.pathsep.join(
            str(bind.source / path.removeprefix(inside)) if path.startswith(inside) else path
            for path in env[name].split(os.pathsep)
        )
        for name in ("FEDFLOW_API", "PYTHONPATH")
        if name in env
    }


def build(workload: Workload, folder: Path, inherited: Mapping[str, str]) -> dict[str, Any]:
    """Return the supervisor's spec.

    Raises:
        RuntimeRefused: the command is not on this machine, or there are too many ports for it.
    """
    # Now rather than when others have started.
    addresses.host_ports(workload)
    env = environment(workload, folder, inherited)
    cwd = Path(workload.workdir) if _has_workdir(workload) else folder / WORK
    _check_command(workload, cwd, env["PATH"])
    return {
        "command": list(workload.command),
        "env": env,
        "cwd": str(cwd),
        "stdout": str(folder / "stdout.log"),
        "stderr": str(folder / "stderr.log"),
        "log": None if workload.log is None else str(workload.log),
        "log_max_bytes": workload.log_max_bytes,
        "log_site_max_bytes": workload.log_site_max_bytes,
        "memory_bytes": workload.resources.memory_bytes,
    }


def not_enforced(workload: Workload) -> list[str]:
    """Name what the workload asks for and a plain process does not get."""
    resources = workload.resources
    asked = {
        "cpus": resources.cpus is not None,
        "pids": resources.pids is not None,
        "shm_bytes": resources.shm_bytes is not None,
        "user": bool(workload.user),
        "network": workload.network is Network.NONE,
        "read_only_binds": any(not bind.writable for bind in workload.binds),
        "workdir": bool(workload.workdir) and not _has_workdir(workload),
    }
    return [name for name, is_asked in asked.items() if is_asked]


def refusal(exit_code: int, detail: str) -> RuntimeRefused:
    """Return the refusal of a command that could not be started."""
    return RuntimeRefused(
        Reason.COMMAND_NOT_FOUND, sentence(Reason.COMMAND_NOT_FOUND, detail), exit_code=exit_code
    )


def vanished() -> RuntimeRefused:
    """Return the refusal of what is not there."""
    return RuntimeRefused(
        Reason.WORKLOAD_VANISHED, "It was not prepared here, or was removed since."
    )


def _has_workdir(workload: Workload) -> bool:
    # os.path, not Path: where a parent can't be read, Path raises.
    return Path(workload.workdir).is_absolute() and os.path.isdir(workload.workdir)  # noqa: PTH112


def _check_command(workload: Workload, cwd: Path, path: str) -> None:
    if not workload.command:
        raise refusal(
            NOT_FOUND_CODE,
            "The template has no command, and this site runs processes without images, "
            "so there is no default one",
        )
    name = workload.command[0]
    if "/" in name:
        candidates = [cwd / name]
    else:
        candidates = [Path(folder or ".", name) for folder in path.split(os.pathsep)]
    found = [candidate for candidate in candidates if os.path.isfile(candidate)]  # noqa: PTH113
    if not found:
        where = f"this machine's {cwd}" if "/" in name else "this machine's PATH"
        raise refusal(NOT_FOUND_CODE, f"{os.strerror(errno.ENOENT)}: {name!r} in {where}")
    if not any(os.access(candidate, os.X_OK) for candidate in found):
        raise refusal(NOT_EXECUTABLE_CODE, f"{os.strerror(errno.EACCES)}: {found[0]}")
