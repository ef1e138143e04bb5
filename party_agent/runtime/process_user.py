"""Who plain processes are: the agent's own user, or another one that a site's root agent names."""

import os
from pathlib import Path

import structlog

from party_agent.runtime.confinement import Confinement
from party_agent.runtime.handover import hand_over
from party_agent.runtime.port import RuntimeUnusable, Workload

log = structlog.get_logger(__name__)

# Lets the user's group through to what is theirs, and lists nothing to it.
_PASSABLE = 0o710


class ProcessUser:
    """The user of all processes of one runtime; `ids` None means the agent's own."""

    def __init__(self, confinement: Confinement) -> None:
        self.ids = confinement.user
        self._groups = confinement.groups

    def check(self) -> None:
        """Warn of what is missing.

        Raises:
            RuntimeUnusable: this agent can't run processes, or not as that user.
        """
        if not hasattr(os, "pidfd_open"):
            raise RuntimeUnusable("the process runtime needs Linux; use a container engine")
        if self.ids is not None and os.geteuid() != 0:
            raise RuntimeUnusable(
                "only an agent that is root runs processes as another user; "
                "leave --workload-user out, or use a container engine"
            )
        log.warning(
            "isolation_missing",
            runtime="process",
            workload_user="the agent's own" if self.ids is None else self.ids[0],
            detail="workloads see this machine's files and network, and most limits don't hold; "
            "use a container engine for code you don't trust",
        )

    def credentials(self) -> dict[str, object] | None:
        """Return what the supervisor needs to become this user, None to stay who it is."""
        if self.ids is None:
            return None
        return {"uid": self.ids[0], "gid": self.ids[1], "groups": list(self._groups)}

    def give_outputs(self, workload: Workload) -> None:
        """Let the user write what the workload may write. Raises OSError."""
        for bind in workload.binds:
            if bind.writable and self.ids is not None:
                hand_over(bind.source, self.ids)

    def give_scratch(self, root: Path, folder: Path, own: tuple[str, ...]) -> None:
        """Let the user reach its `own` directories in `folder` below `root`. Raises OSError."""
        if self.ids is None:
            return
        for passed in (root, folder):
            os.chown(passed, -1, self.ids[1])
            passed.chmod(_PASSABLE)
        for name in own:
            os.chown(folder / name, *self.ids)
