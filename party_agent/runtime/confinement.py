"""What a site lets a workload be: its user, its groups, and how much it may fill up."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

# Belongs to nobody: no distribution gives this number to an account that owns files.
UNPRIVILEGED = (65_532, 65_532)

DEFAULT_TMP_BYTES = 1024**3
DEFAULT_MAX_PIDS = 8_192


class RootMode(StrEnum):
    """Whether a container may write outside of its output and temporary directories.

    AUTO lets those images write that carry a label which asks for it.
    """

    AUTO = "auto"
    ALWAYS_READ_ONLY = "always"
    WRITABLE = "never"


@dataclass(frozen=True, kw_only=True)
class Confinement:
    """A site's choices. `user` takes the place of root, `groups` are added to every user.

    `user` None means the unprivileged one for containers and the agent's own for processes.
    `tmp_bytes` bounds /tmp, `max_pids` processes and threads. `off_limits` are paths of which
    neither a part nor anything above may be offered as data.
    """

    user: tuple[int, int] | None = None
    groups: tuple[int, ...] = ()
    allow_root: bool = False
    root_mode: RootMode = RootMode.AUTO
    tmp_bytes: int = DEFAULT_TMP_BYTES
    max_pids: int = DEFAULT_MAX_PIDS
    off_limits: tuple[Path, ...] = ()


def container_user(own: tuple[int, int]) -> tuple[int, int]:
    """Return who a container is at an agent that is `own`, unless the site says otherwise.

    An agent that is not root can neither give its files away nor remove a stranger's, so its
    containers are itself.
    """
    return UNPRIVILEGED if own[0] == 0 else own
