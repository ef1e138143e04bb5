"""Pure: what an engine says of its own protections."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_REMAPPED = re.compile(r"(\d+)\.(\d+)")


@dataclass(frozen=True, kw_only=True)
class EngineFacts:
    """`has_user_namespace`: root inside a container is nobody in particular outside.

    `first_ids` are then the host's numbers for user and group 0, None where not known.
    """

    has_user_namespace: bool = False
    first_ids: tuple[int, int] | None = (0, 0)
    has_seccomp: bool = True
    folder: Path = Path("/var/lib/docker")

    def owner(self, uid: int, gid: int) -> tuple[int, int] | None:
        """Return who this user of a container is on the host, None if the engine hides it."""
        if self.first_ids is None:
            return None
        return self.first_ids[0] + uid, self.first_ids[1] + gid


def of_engine(info: dict[str, Any]) -> EngineFacts:
    """Return what the engine's `info` says."""
    options = {
        str(option).split(",")[0].removeprefix("name="): str(option)
        for option in info.get("SecurityOptions") or ()
    }
    folder = Path(str(info.get("DockerRootDir") or "/var/lib/docker"))
    is_rootless, is_remapped = "rootless" in options, "userns" in options
    first_ids: tuple[int, int] | None = None if is_rootless or is_remapped else (0, 0)
    remapped = _REMAPPED.fullmatch(folder.name)
    if is_remapped and not is_rootless and remapped:
        first_ids = int(remapped[1]), int(remapped[2])
    return EngineFacts(
        has_user_namespace=is_rootless or is_remapped,
        first_ids=first_ids,
        has_seccomp="profile=unconfined" not in options.get("seccomp", "profile=unconfined"),
        folder=folder,
    )
