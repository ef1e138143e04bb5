"""What is known on disk of one process workload: its scratch directory, read and changed.

The directory is shared with the supervisor, which may outlive this agent and belong to
another one's life. Both sides change it only under the lock file, and only ever add records,
so what is read without the lock is at worst a step old.

All functions block (briefly: the lock is held for one start at most); the runtime calls them
in threads.
"""

import fcntl
import json
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from party_agent.runtime import process_spec, supervisor
from party_agent.runtime.port import Observation, Phase, RuntimeUnavailable
from party_agent.runtime.process_user import ProcessUser

_LOCK_WAIT_S = 60.0
_LOCK_PAUSE_S = 0.005
_KILL_PASSES = 200
_REMOVED_PREFIX = ".removed-"


_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class Stage(StrEnum):
    """How far one party run came. `STARTING` lasts for the supervisor's start phase."""

    PREPARED = "prepared"
    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    ENDED = "ended"


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One reading. `claim` is there from STARTING on; `error` says why an exec failed."""

    stage: Stage
    seen: Observation
    claim: dict[str, Any] | None = None
    error: str | None = None


class Scratch:
    """The directory of one party run under the runtime's `root`."""

    def __init__(self, root: Path, party_run_id: str) -> None:
        if not is_party_run_id(party_run_id):
            raise ValueError(f"not a party run id: {party_run_id!r}")
        self.root = root
        self.party_run_id = party_run_id
        self.folder = root / party_run_id

    def create(self, spec: dict[str, Any], user: ProcessUser) -> None:
        """Make everything that a start needs, or leave what there is."""
        own = (process_spec.HOME, process_spec.TEMPORARY, process_spec.WORK)
        for name in own:
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        user.give_scratch(self.root, self.folder, own)
        (self.folder / supervisor.LOCK).touch()
        with self._locked():
            if not (self.folder / supervisor.SPEC).exists():
                supervisor.write_record(self.folder, supervisor.SPEC, spec)

    def read(self) -> Snapshot | None:
        """Return what there is, None if nothing was prepared."""
        if not (self.folder / supervisor.SPEC).exists():
            return None
        claim = self._record(supervisor.CLAIM)
        if claim is None:
            stopped = (self.folder / supervisor.STOPPED).exists()
            return Snapshot(
                stage=Stage.STOPPED if stopped else Stage.PREPARED,
                seen=Observation(party_run_id=self.party_run_id, phase=Phase.PREPARED),
            )
        alive = is_alive(claim)
        # Read after the question whether it lives: its last act is to write this.
        ended = self._record(supervisor.ENDED)
        started = self._record(supervisor.STARTED)
        started_at = _utc(started.get("started_at")) if started else None
        if ended is None and alive:
            stage = Stage.RUNNING if started else Stage.STARTING
            phase = Phase.RUNNING if started else Phase.PREPARED
            seen = Observation(party_run_id=self.party_run_id, phase=phase, started_at=started_at)
            return Snapshot(stage=stage, seen=seen, claim=claim)
        ended = ended or {}
        seen = Observation(
            party_run_id=self.party_run_id,
            phase=Phase.EXITED,
            exit_code=ended.get("exit_code"),
            started_at=started_at,
            finished_at=_utc(ended.get("finished_at")),
        )
        return Snapshot(stage=Stage.ENDED, seen=seen, claim=claim, error=ended.get("error"))

    @property
    def has_ended(self) -> bool:
        """Whether an end was written down, or nobody wants to know any more."""
        return (self.folder / supervisor.ENDED).exists() or not self.folder.exists()

    def forbid_start(self) -> Snapshot | None:
        """Make sure that what has not started never will; return what there is then."""
        try:
            with self._locked():
                snapshot = self.read()
                if snapshot is not None and snapshot.stage is Stage.PREPARED:
                    supervisor.write_record(self.folder, supervisor.STOPPED, {})
                return self.read()
        except FileNotFoundError:
            return None

    def settle(self) -> None:
        """Bury a workload whose supervisor died: kill what it left, write the end down.

        Nothing happens while the supervisor lives or where the end is known.
        """
        with suppress(FileNotFoundError), self._locked():
            snapshot = self.read()
            if snapshot is None or snapshot.stage is not Stage.ENDED or self.has_ended:
                return
            kill_marked(self.folder)
            supervisor.write_record(self.folder, supervisor.ENDED, {"exit_code": None})

    def delete(self) -> bool:
        """Remove the directory; False if its workload runs and must be stopped first."""
        try:
            with self._locked():
                snapshot = self.read()
                if snapshot is not None and snapshot.stage in (Stage.STARTING, Stage.RUNNING):
                    return False
                if snapshot is not None and snapshot.claim is not None and not self.has_ended:
                    kill_marked(self.folder)
                # In one step, so that a supervisor on its way finds all or nothing.
                bin_name = f"{_REMOVED_PREFIX}{self.party_run_id}-{time.time_ns()}"
                self.folder.rename(self.root / bin_name)
        except FileNotFoundError:
            # Never made, or only half: a crash during `create`.
            shutil.rmtree(self.folder, ignore_errors=True)
        empty_bin(self.root, self.party_run_id)
        return True

    def delete_half_made(self) -> None:
        """Remove what a crash during `create` left, and nothing that holds anything else."""
        if self.folder.is_symlink() or not (self.folder / process_spec.HOME).is_dir():
            return
        left = {path.name: path for path in self.folder.iterdir()}
        left.pop(supervisor.LOCK, None)
        drafts = [name for name in left if name.startswith(f".{supervisor.SPEC}.")]
        folders = [left[name] for name in left if name not in drafts]
        ours = {process_spec.HOME, process_spec.TEMPORARY, process_spec.WORK}
        if all(path.name in ours and path.is_dir() and not any(path.iterdir()) for path in folders):
            shutil.rmtree(self.folder, ignore_errors=True)

    def complaint(self) -> str:
        """Return the last words of a supervisor that failed."""
        try:
            text = (self.folder / "supervisor.log").read_text(errors="replace")
        except FileNotFoundError:
            return ""
        return text.strip().rpartition("\n")[2]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock. Raises FileNotFoundError if the directory is gone."""
        lock = os.open(self.folder / supervisor.LOCK, os.O_RDWR | os.O_CLOEXEC)
        try:
            give_up_at = time.monotonic() + _LOCK_WAIT_S
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > give_up_at:
                        raise RuntimeUnavailable(
                            f"the start of {self.party_run_id} does not get on"
                        ) from None
                    time.sleep(_LOCK_PAUSE_S)
            if os.fstat(lock).st_ino != (self.folder / supervisor.LOCK).stat().st_ino:
                raise FileNotFoundError(self.folder)
            yield
        finally:
            os.close(lock)

    def _record(self, name: str) -> dict[str, Any] | None:
        try:
            record = json.loads((self.folder / name).read_text())
        except FileNotFoundError:
            return None
        return record if isinstance(record, dict) else None


def make_root(root: Path) -> None:
    """Make the directory of all party runs, and finish removals that a crash interrupted."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    empty_bin(root)


def scratches(root: Path) -> list[Scratch]:
    """Return the directory of every party run under `root`, whatever is in it."""
    names = sorted(path.name for path in root.iterdir() if is_party_run_id(path.name))
    return [Scratch(root, name) for name in names]


def observe_all(root: Path) -> list[Observation]:
    """Return every workload that was not removed."""
    snapshots = [scratch.read() for scratch in scratches(root)]
    return [snapshot.seen for snapshot in snapshots if snapshot is not None]


def is_party_run_id(text: str) -> bool:
    """Say whether `text` can name a scratch directory."""
    return _ID.fullmatch(text) is not None


def empty_bin(root: Path, party_run_id: str = "*") -> None:
    """Finish removals, also those that a crash interrupted; by default of all party runs."""
    for removed in root.glob(f"{_REMOVED_PREFIX}{party_run_id}-*"):
        shutil.rmtree(removed, ignore_errors=True)


def is_alive(claim: dict[str, Any]) -> bool:
    """Say whether the very process that wrote `claim` still runs; a reused pid does not count."""
    try:
        stat = supervisor.process_stat(claim["pid"])
    except OSError:
        return False
    same = int(stat[19]) == claim["start_ticks"] and supervisor.boot_id() == claim["boot_id"]
    return same and stat[0] not in "ZX"


def kill_marked(folder: Path) -> None:
    """Kill every process that was started for the workload of `folder`, whoever its parent is."""
    mark = f"{process_spec.MARK}={folder}".encode()
    # Again until none is found, for those that were born during the search.
    for _ in range(_KILL_PASSES):
        if not [pid for pid in supervisor.process_ids() if _kill_if_marked(pid, mark)]:
            return
        time.sleep(_LOCK_PAUSE_S)


def _kill_if_marked(pid: int, mark: bytes) -> bool:
    try:
        # Opened before it is looked at, so that the signal can't reach a successor.
        handle = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        marked = mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        if marked:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    except OSError:
        return False
    finally:
        os.close(handle)
    return marked


def _utc(epoch_s: float | None) -> datetime | None:
    return None if epoch_s is None else datetime.fromtimestamp(epoch_s, UTC)
