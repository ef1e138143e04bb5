"""Gives a directory that the agent made to the user that a workload will be."""

import os
from pathlib import Path


def hand_over(folder: Path, owner: tuple[int, int] | None) -> None:
    """Let `owner` (uid, gid as the host counts them; None if not known) write into `folder`.

    May be repeated. Raises OSError.
    """
    if owner is not None and os.geteuid() == 0:
        os.chown(folder, *owner)
        folder.chmod(0o750)
    elif owner is not None and owner[0] == os.geteuid():
        folder.chmod(0o700)
    else:
        # Nobody else finds it: its name is a secret id in a directory that nobody may list.
        folder.chmod(0o777)
