"""Who PostgreSQL runs as: it refuses to be root, so root lends it an unprivileged account."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from flow_contract.errors import InvalidArgument, Kind

_PREFERRED = ("postgres", "nobody")
_STATE_DIR_OF_ROOT = Path("/var/lib/fedflow")


@dataclass(frozen=True, kw_only=True)
class Account:
    """An unprivileged account of this machine."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]

    def __str__(self) -> str:
        """Return the form that pg_exec.py reads."""
        return f"{self.uid}:{self.gid}:{','.join(str(group) for group in self.groups)}"


def default_state_dir() -> Path:
    """Return where a server keeps its state if nobody says: a path that PostgreSQL can reach."""
    if os.geteuid() == 0:
        return _STATE_DIR_OF_ROOT
    return Path(pwd.getpwuid(os.geteuid()).pw_dir) / ".local" / "state" / "fedflow"


def account_for(cluster: Path) -> Account | None:
    """Return the account to run the cluster as, None to run as who we are.

    A cluster that exists keeps its owner. A new one of root goes to `postgres` where there
    is one, else to `nobody`.

    Raises:
        InvalidArgument: the cluster belongs to somebody whom we can't or must not be.
    """
    owner = cluster.stat().st_uid if cluster.exists() else None
    if os.geteuid() != 0:
        if owner not in (None, os.geteuid()):
            raise _refused(f"{cluster} belongs to user {owner}: run as that user")
        return None
    if owner == 0:
        raise _refused(
            f"{cluster} belongs to root, and PostgreSQL does not run as root: "
            f"chown -R it to an unprivileged user"
        )
    if owner is not None:
        return _of_uid(owner)
    for name in _PREFERRED:
        try:
            return _of(pwd.getpwnam(name))
        except KeyError:
            continue
    raise _refused(
        "PostgreSQL does not run as root, and there is no user postgres or nobody: "
        "run as an unprivileged user, or name a database with --database-url"
    )


def closed_directory(path: Path, account: Account) -> Path | None:
    """Return the outermost directory on the way to and including `path` closed to `account`."""
    for directory in reversed([path, *path.parents]):
        status = directory.stat()
        if status.st_uid == account.uid:
            bit = stat.S_IXUSR
        elif status.st_gid in (account.gid, *account.groups):
            bit = stat.S_IXGRP
        else:
            bit = stat.S_IXOTH
        if not status.st_mode & bit:
            return directory
    return None


def require_open(path: Path, account: Account) -> None:
    """Accept a directory that `account` can reach; parents are never opened up for it.

    Raises:
        InvalidArgument: a directory on the way is closed; the text names it.
    """
    closed = closed_directory(path, account)
    if closed is not None:
        raise _refused(
            f"PostgreSQL runs as {account.name} and can't reach {path}, because {closed} is "
            f"closed to others: choose another directory, such as {_STATE_DIR_OF_ROOT}"
        )


def _refused(message: str) -> InvalidArgument:
    return InvalidArgument(message, kind=Kind.SERVER, field="state_dir")


def _of_uid(uid: int) -> Account:
    try:
        return _of(pwd.getpwuid(uid))
    except KeyError:
        # A uid without a name, as volumes of containers have.
        return Account(name=f"user {uid}", uid=uid, gid=uid, groups=())


def _of(entry: pwd.struct_passwd) -> Account:
    groups = tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))
    return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid, groups=groups)
