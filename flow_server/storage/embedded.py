"""The embedded PostgreSQL: a real one, started by us, that never outlives us.

It is a direct child on a unix socket and is asked to stop when we end, however we end.
"""

import asyncio
import os
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import structlog

from flow_contract.errors import Kind, Unavailable
from flow_server.storage.pg_account import Account, account_for, closed_directory, require_open
from flow_server.storage.pg_binaries import Binaries, choose, installed
from flow_server.storage.pg_home import PORT, Home, try_lock
from flow_server.storage.pg_process import Process, exited, spawn

_log = structlog.get_logger(__name__)

_POLL_S = 0.02
_START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 60.0

# Ask to disconnect everybody and write all, then to leave at once, then don't ask.
_STOP_SIGNALS = (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)


def home_in(state_dir: Path) -> Path:
    """Return where a server with this state directory keeps its embedded database."""
    return state_dir / "postgres"


class EmbeddedPostgres:
    """One PostgreSQL in `data_dir`, from `start` to `aclose`.

    `extra_settings` are PostgreSQL's own, by name. `candidates` are the installations to
    choose from; by default what the machine has.

    Invariant: at most one process holds `data_dir`, and PostgreSQL ends with that process.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        socket_dir: Path | None = None,
        extra_settings: Mapping[str, str] | None = None,
        candidates: list[Binaries] | None = None,
    ) -> None:
        self._home = Home(data_dir)
        self._wanted_socket_dir = socket_dir
        self._settings = dict(extra_settings or {})
        self._candidates = candidates
        self._process: Process | None = None
        self._locks: list[int] = []

    @property
    def data_dir(self) -> Path:
        """The directory that holds everything of this database, absolute."""
        return self._home.path

    @property
    def exists(self) -> bool:
        """Whether a start would find a database rather than make one."""
        return self._home.cluster.exists()

    @property
    def pid(self) -> int | None:
        """The postmaster's pid, None unless started."""
        return None if self._process is None else self._process.pid

    async def start(self) -> str:
        """Make the cluster if there is none, serve it, and return its `postgresql://` URL.

        Call it from the main thread: PostgreSQL stops when the thread that started it ends.

        Raises:
            InvalidArgument: the directory can't be used.
            Conflict: another process uses it.
            Unavailable: there is no fitting PostgreSQL, or it did not start; the text says why.
        """
        if self._process is not None:
            raise RuntimeError("this embedded PostgreSQL was started before")
        try:
            return await self._start()
        except BaseException:
            # Also when cancelled: nothing may stay behind of a start that nobody waits for.
            if self._process is not None:
                self._process.kill()
                self._process.wait()
                self._process = None
            self._release()
            raise

    async def died(self) -> str:
        """Wait until PostgreSQL ends without being asked; return one sentence about it."""
        if self._process is None:
            raise RuntimeError("this embedded PostgreSQL is not started")
        code = await exited(self._process)
        return f"the embedded PostgreSQL ended by itself with code {code}: {self._home.log_path}"

    async def aclose(self) -> None:
        """Stop PostgreSQL and let go of the directory. May come before `start`, and twice."""
        process = self._process
        if process is None:
            return
        for number in _STOP_SIGNALS:
            if process.poll() is None:
                process.send_signal(number)
            try:
                async with asyncio.timeout(_STOP_TIMEOUT_S):
                    await exited(process)
                break
            except TimeoutError:
                _log.warning("embedded_postgres_stop_delayed", signal=number.name)
        self._process = None
        self._home.remove_short_socket_dir()
        self._release()

    async def _start(self) -> str:
        account = account_for(self._home.cluster)
        if account is not None:
            require_open(self._home.nearest_parent(), account)
        self._home.create(account)
        self._locks.append(self._home.own())
        # Looked for again under the lock: another process may have made the cluster meanwhile.
        account = account_for(self._home.cluster)
        binaries = await self._binaries(account)
        if self._home.cluster_major() is None:
            await self._initdb(binaries, account)
        cluster_lock = await self._lock_cluster()
        self._home.clear_stale_pid()
        socket_dir = self._home.socket_dir(self._wanted_socket_dir, account)
        if account is not None:
            require_open(socket_dir, account)
        await self._serve(binaries, account, socket_dir, cluster_lock)
        return (
            f"postgresql://postgres@/postgres?host={quote(str(socket_dir), safe='/')}&port={PORT}"
        )

    async def _binaries(self, account: Account | None) -> Binaries:
        candidates = self._candidates
        if candidates is None:
            candidates = await asyncio.to_thread(installed)
        binaries = choose(candidates, major=self._home.cluster_major())
        if account is None or closed_directory(binaries.bin_dir, account) is None:
            return binaries
        # A virtual environment below a closed home directory: the account needs its own copy.
        copy = self._home.path / f"binaries-{binaries.version}"
        if not copy.exists():
            await asyncio.to_thread(_copy_whole, binaries.prefix, copy)
        bin_dir = copy / binaries.bin_dir.relative_to(binaries.prefix.parents[1])
        return Binaries(bin_dir=bin_dir, major=binaries.major, minor=binaries.minor)

    async def _initdb(self, binaries: Binaries, account: Account | None) -> None:
        self._home.begin_cluster(account)
        command = [str(binaries.bin_dir / "initdb"), "-D", str(self._home.unfinished)]
        command += ["-U", "postgres", "--auth=trust", "-E", "UTF8", "--no-locale"]
        if self._settings.get("fsync") == "off":
            command.append("--no-sync")
        with self._home.open_log() as log:
            start_bytes = log.seek(0, os.SEEK_END)
            process = spawn(command, account=account, directory=self._home.unfinished, log=log)
        try:
            code = await exited(process)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if code != 0:
            said = self._home.log_tail(start_bytes)
            raise Unavailable(
                f"initdb could not make the embedded database in {self._home.path} "
                f"(code {code}):\n{said}",
                kind=Kind.SERVER,
            )
        self._home.finish_cluster()
        _log.info("embedded_postgres_made", home=str(self._home.path), version=binaries.version)

    async def _lock_cluster(self) -> int:
        handle = self._home.open_cluster()
        self._locks.append(handle)
        try:
            # We own the directory, so who holds this is on its way out: its owner was killed.
            async with asyncio.timeout(_START_TIMEOUT_S):
                # No event tells when another process lets go of a lock.
                while not try_lock(handle):  # noqa: ASYNC110
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            noted = self._home.server_pid()
            raise Unavailable(
                f"a former PostgreSQL (process {noted[0] if noted else '?'}) still runs in "
                f"{self._home.cluster} after {_START_TIMEOUT_S:.0f} s: end it",
                kind=Kind.SERVER,
            ) from None
        return handle

    async def _serve(
        self, binaries: Binaries, account: Account | None, socket_dir: Path, cluster_lock: int
    ) -> None:
        settings = {"listen_addresses": "", "unix_socket_permissions": "0700"} | self._settings
        # A list of directories to PostgreSQL: quoted, a comma is a part of the name.
        quoted = str(socket_dir).replace('"', '""')
        settings["unix_socket_directories"] = f'"{quoted}"'
        command = [str(binaries.bin_dir / "postgres"), "-D", str(self._home.cluster)]
        command += ["-p", str(PORT)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with self._home.open_log() as log:
            start_bytes = log.seek(0, os.SEEK_END)
            self._process = spawn(
                command,
                account=account,
                directory=self._home.cluster,
                log=log,
                keep_fds=(cluster_lock,),
            )
        await self._ready(self._process, start_bytes)
        _log.info("embedded_postgres_started", home=str(self._home.path), version=binaries.version)

    async def _ready(self, process: Process, start_bytes: int) -> None:
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                while self._home.server_pid() != (process.pid, True):
                    if process.poll() is not None:
                        problem = f"ended with code {process.returncode}"
                        break
                    await asyncio.sleep(_POLL_S)
                else:
                    return
        except TimeoutError:
            problem = f"was not ready after {_START_TIMEOUT_S:.0f} s"
        said = self._home.log_tail(start_bytes)
        raise Unavailable(
            f"the embedded PostgreSQL in {self._home.path} {problem}:\n{said}", kind=Kind.SERVER
        )

    def _release(self) -> None:
        while self._locks:
            os.close(self._locks.pop())


def _copy_whole(prefix: Path, target: Path) -> None:
    # With the names of the two directories above, because the programs of a wheel look for their
    # libraries in ../../../PACKAGE.libs.
    package = prefix.parent
    unfinished = target.with_name(f"{target.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(prefix, unfinished / package.name / prefix.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
    for directory in (unfinished, unfinished / package.name):
        directory.chmod(0o755)
    unfinished.rename(target)
