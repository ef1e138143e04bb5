"""The embedded database's directory on disk: its layout, its owner, and who holds it.

    HOME/cluster/        PostgreSQL's own data directory, owned by the unprivileged account
    HOME/cluster.new/    one in the making; renamed when it is whole, so half a one never counts
    HOME/binaries-X.Y/   a copy of the programs, where the account can't reach the originals
    HOME/owner.lock      held by the process that started PostgreSQL
    HOME/postgres.log    what PostgreSQL said

Invariant: as long as any process of a PostgreSQL lives, the lock on HOME/cluster is held: it is
on a descriptor that they all inherited, so neither a crash nor a recycled pid can fake it.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import IO

from flow_contract.errors import Conflict, InvalidArgument, Kind
from flow_server.storage.pg_account import Account

PORT = 5432

_LOG_LIMIT_BYTES = 8 * 1024 * 1024
# sun_path of Linux holds 108 bytes with the closing null; elsewhere 104.
_MAX_SOCKET_PATH_BYTES = 103
_TAIL_BYTES = 2_000


class Home:
    """One directory that holds one cluster."""

    def __init__(self, path: Path) -> None:
        # PostgreSQL changes its directory; a relative path would then mean another one.
        self.path = path.absolute()
        self.cluster = self.path / "cluster"
        self.unfinished = self.path / "cluster.new"
        self.log_path = self.path / "postgres.log"
        self._owner_lock_path = self.path / "owner.lock"

    def nearest_parent(self) -> Path:
        """Return the innermost directory above this one that exists."""
        return next(path for path in self.path.parents if path.exists())

    def create(self, account: Account | None) -> None:
        """Make the directory and those above it that are missing; others stay as they are.

        Raises:
            InvalidArgument: it can't be made.
        """
        missing = [path for path in (self.path, *self.path.parents) if not path.exists()]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if account is not None:
                # Ours, whatever the umask says: the account passes through them.
                for path in {*missing, self.path}:
                    path.chmod(stat.S_IMODE(path.stat().st_mode) | 0o111)
        except OSError as error:
            raise _unusable(self.path, error) from error

    def own(self) -> int:
        """Hold the directory for this process; return the descriptor that holds it.

        Raises:
            Conflict: another process holds it.
            InvalidArgument: we may not write there.
        """
        try:
            handle = os.open(self._owner_lock_path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise _unusable(self._owner_lock_path, error) from error
        if not try_lock(handle):
            pid = os.pread(handle, 32, 0).decode(errors="replace").strip()
            os.close(handle)
            raise Conflict(
                f"the embedded database in {self.path} is in use by process {pid or '?'}: "
                "stop that one, or choose another --state-dir",
                kind=Kind.SERVER,
            )
        os.truncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        return handle

    def open_cluster(self) -> int:
        """Return a descriptor of the cluster directory, for PostgreSQL to inherit once locked."""
        return os.open(self.cluster, os.O_RDONLY | os.O_DIRECTORY)

    def begin_cluster(self, account: Account | None) -> None:
        """Make an empty directory for initdb, without what an interrupted one left.

        Raises:
            Conflict: where the cluster goes there is something else.
        """
        if self.cluster.exists():
            raise Conflict(
                f"{self.cluster} is there and holds no PostgreSQL database (no PG_VERSION): "
                "move it away, or choose another --state-dir",
                kind=Kind.SERVER,
            )
        shutil.rmtree(self.unfinished, ignore_errors=True)
        self.unfinished.mkdir(mode=0o700)
        if account is not None:
            os.chown(self.unfinished, account.uid, account.gid)

    def finish_cluster(self) -> None:
        """Let what initdb made become the cluster."""
        self.unfinished.rename(self.cluster)

    def cluster_major(self) -> int | None:
        """Return the PostgreSQL version that made the cluster, None if there is none."""
        try:
            return int((self.cluster / "PG_VERSION").read_text())
        except FileNotFoundError:
            return None

    def server_pid(self) -> tuple[int, bool] | None:
        """Return the pid that PostgreSQL wrote down and whether it says it is ready."""
        try:
            lines = (self.cluster / "postmaster.pid").read_text().splitlines()
            return int(lines[0]), len(lines) > 7 and lines[7].strip() == "ready"  # noqa: PLR2004
        except (FileNotFoundError, IndexError, ValueError):
            return None

    def clear_stale_pid(self) -> None:
        """Remove the lock files of a PostgreSQL that has ended and whose pid still lives.

        PostgreSQL itself clears those of a pid that is dead, but believes one that was given to
        another process since, and one that nobody has reaped yet: under an init that is slow
        to, or that never does. Only for a caller that holds the lock on the cluster.

        Raises:
            Conflict: a PostgreSQL that somebody else started serves this cluster.
        """
        noted = self.server_pid()
        if noted is None:
            return
        pid = noted[0]
        if not _is_zombie(pid):
            try:
                directory = Path(f"/proc/{pid}/cwd").readlink()
            except OSError:
                return
            if directory == self.cluster.resolve():
                raise Conflict(
                    f"a PostgreSQL that was started by hand (process {pid}) serves "
                    f"{self.cluster}: stop it, or name it with --database-url",
                    kind=Kind.SERVER,
                )
        self._clear_socket_lock(pid)
        (self.cluster / "postmaster.pid").unlink(missing_ok=True)

    def _clear_socket_lock(self, pid: int) -> None:
        """Remove the lock beside the socket that the pid file names, if it is of this pid too."""
        with contextlib.suppress(OSError, IndexError):
            lines = (self.cluster / "postmaster.pid").read_text().splitlines()
            lock = Path(lines[4]) / f".s.PGSQL.{lines[3]}.lock"
            if lines[4] and lock.read_text().splitlines()[0] == str(pid):
                lock.unlink()

    def socket_dir(self, wanted: Path | None, account: Account | None) -> Path:
        """Return a directory, owned by the account, whose socket's path the kernel accepts.

        Without a wish it is the cluster's own, or a short one made for it if that can't be.

        Raises:
            InvalidArgument: the wanted one can't be, or is not ours.
        """
        if wanted is None and _fits(self.cluster):
            return self.cluster
        if wanted is None:
            directory = self._short_socket_dir()
        elif _fits(wanted.absolute()):
            directory = wanted.absolute()
        else:
            raise InvalidArgument(
                f"the socket directory {wanted} can't be used: a socket's path may have "
                f"{_MAX_SOCKET_PATH_BYTES} bytes and no comma",
                kind=Kind.SERVER,
                field="socket_dir",
            )
        _claim(directory, account)
        return directory

    def remove_short_socket_dir(self) -> None:
        """Remove the short directory if `socket_dir` made one; PostgreSQL has left it."""
        with contextlib.suppress(OSError):
            self._short_socket_dir().rmdir()

    def _short_socket_dir(self) -> Path:
        name = hashlib.sha256(os.fsencode(self.cluster.resolve())).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"fedflow-{name}"

    def open_log(self) -> IO[bytes]:
        """Open the log to append to; one that grew large is kept once under another name."""
        if self.log_path.exists() and self.log_path.stat().st_size > _LOG_LIMIT_BYTES:
            self.log_path.replace(self.log_path.with_suffix(".log.1"))
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        return os.fdopen(os.open(self.log_path, flags, 0o600), "ab")

    def log_tail(self, start_bytes: int) -> str:
        """Return the end of what the log holds from `start_bytes` on."""
        with self.log_path.open("rb") as log:
            size_bytes = os.fstat(log.fileno()).st_size
            log.seek(max(start_bytes, size_bytes - _TAIL_BYTES))
            return log.read().decode(errors="replace").strip()


def _is_zombie(pid: int) -> bool:
    """Say whether the process has ended and only waits to be reaped."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return False
    # The name before it may hold brackets.
    return stat.rpartition(")")[2].split()[0] in {"Z", "X"}


def try_lock(handle: int) -> bool:
    """Take the lock on an open descriptor; False if somebody else has it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _unusable(path: Path, error: OSError) -> InvalidArgument:
    return InvalidArgument(f"{path}: {error.strerror}", kind=Kind.SERVER, field="state_dir")


def _fits(directory: Path) -> bool:
    path = directory / f".s.PGSQL.{PORT}"
    # A comma separates hosts in a PostgreSQL URL, even an escaped one.
    return len(os.fsencode(path)) <= _MAX_SOCKET_PATH_BYTES and "," not in str(path)


def _claim(directory: Path, account: Account | None) -> None:
    uid = os.geteuid() if account is None else account.uid
    try:
        directory.mkdir(mode=0o700)
        if account is not None:
            os.chown(directory, account.uid, account.gid)
    except FileExistsError:
        pass
    # Not followed: in a directory open to all, somebody may have put a link of this name.
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != uid:
        raise InvalidArgument(
            f"{directory} is not a directory of user {uid}, who would put the socket there: "
            "remove it, or choose another socket directory",
            kind=Kind.SERVER,
            field="socket_dir",
        )
