"""Pure: what every container's create call says about its rights, whatever runs in it.

Only what is listed here differs from an unprivileged default container of the engine: its
seccomp profile, masked paths and devices are left as the engine has them, never widened.
"""

import posixpath
from typing import Any

from party_agent.runtime.docker_engine.cage import Cage
from party_agent.runtime.port import Bind

_MIB = 1024**2
_SMALL_TMP_BYTES = 64 * _MIB

# A workload goes before the site's agent and engine when the machine runs out of memory.
_OOM_SCORE = 500


def rights(cage: Cage, binds: tuple[Bind, ...]) -> dict[str, Any]:
    """Return the part of the engine's HostConfig that bounds what a workload may do."""
    return {
        "Privileged": False,
        "CapDrop": ["ALL"],
        "CapAdd": [],
        "SecurityOpt": ["no-new-privileges"],
        "GroupAdd": list(cage.groups),
        "ReadonlyRootfs": cage.read_only_root,
        "Tmpfs": _tmpfs(cage, binds) if cage.read_only_root else {},
        "Mounts": [_mount(bind) for bind in binds],
        "Binds": [],
        "VolumesFrom": [],
        "Devices": [],
        "DeviceCgroupRules": [],
        "PidMode": "",
        "IpcMode": "private",
        "UTSMode": "",
        "UsernsMode": "",
        "CgroupnsMode": "private",
        "PublishAllPorts": False,
        "PortBindings": {},
        "PidsLimit": cage.pids,
        # Never the number of files: an engine that may not raise a limit would refuse the start.
        "Ulimits": [{"Name": "core", "Soft": 0, "Hard": 0}],
        "OomScoreAdj": _OOM_SCORE,
        "OomKillDisable": False,
        "Init": True,
        "AutoRemove": False,
        "RestartPolicy": {"Name": "no"},
        # 100 MB at most, compressed: the engine's disk is the site's.
        "LogConfig": {"Type": "local", "Config": {"max-size": "20m", "max-file": "5"}},
    }


def _tmpfs(cage: Cage, binds: tuple[Bind, ...]) -> dict[str, str]:
    sizes = {"/tmp": cage.tmp_bytes, "/var/tmp": _SMALL_TMP_BYTES, "/run": _SMALL_TMP_BYTES}  # noqa: S108 - of the container
    taken = {posixpath.normpath(bind.target) for bind in binds}
    # exec: compilers of kernels put libraries there and load them; /output allows it anyway.
    return {
        path: f"rw,exec,nosuid,nodev,size={size},mode=1777"
        for path, size in sizes.items()
        if path not in taken
    }


def _mount(bind: Bind) -> dict[str, Any]:
    # A mount, not a bind string: paths may hold colons, and a missing source is an error
    # instead of a new directory that belongs to root.
    return {
        "Type": "bind",
        "Source": str(bind.source),
        "Target": bind.target,
        "ReadOnly": not bind.writable,
        # Not recursive: older engines leave a file system below a read-only one writable.
        "BindOptions": {"Propagation": "rprivate", "NonRecursive": True},
    }
