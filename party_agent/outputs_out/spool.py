"""What one workload sent while it ran, on disk until the server has it.

A file of bytes for each, and a ledger with a line for each event: written before it is told, and
cut off at the next start where a crash left half of it. All calls may wait for the disk.
"""

import json
import os
import shutil
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flow_contract.ids import new_id
from flow_contract.outputs import OutputFile

_LEDGER = "ledger"
_DRAFT = "."


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A file that was sent: `number` counts from 1, `path` holds its bytes."""

    number: int
    file: OutputFile
    sha256: bytes
    path: Path


class OutputSpool:
    """One party run's sent files. For several threads.

    Invariant: what `keep` has returned is on disk.
    """

    def __init__(self, folder: Path) -> None:
        """Open or make it in `folder`. Raises OSError, ValueError."""
        self.folder = folder
        self.sent_bytes = 0
        self.sent_files = 0
        # Of files that the server has not: why.
        self.refused: dict[str, str] = {}
        # What the server has by name.
        self.stored: dict[str, tuple[int, bytes]] = {}
        self._waiting: dict[int, Kept] = {}
        self._lock = threading.Lock()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(folder / _LEDGER, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._size_bytes = self._load()
        self._tidy()

    @property
    def waiting_bytes(self) -> int:
        """How much waits to leave."""
        with self._lock:
            return sum(kept.file.bytes for kept in self._waiting.values())

    def draft(self) -> Path:
        """Return where the bytes of a file that comes may be written."""
        return self.folder / f"{_DRAFT}{new_id()}"

    def keep(self, draft: Path, name: str, size_bytes: int, sha256: bytes) -> None:
        """Take over a draft whose bytes are on the disk already; an older one of its name goes.

        Raises:
            OSError: it can't be kept; nothing of it is.
        """
        with self._lock:
            number = self.sent_files + 1
            kept = self._kept(number, new_id(), name, size_bytes, sha256)
            draft.rename(kept.path)
            try:
                _sync(self.folder)
                self._append(
                    {
                        "sent": number,
                        "id": kept.file.upload_id,
                        "name": name,
                        "bytes": size_bytes,
                        "sha256": sha256.hex(),
                    }
                )
            except OSError:
                kept.path.unlink(missing_ok=True)
                raise
            self._take(kept)

    def waiting(self) -> list[Kept]:
        """Return what the server lacks, in the order in which it was sent."""
        with self._lock:
            return list(self._waiting.values())

    def has_waiting(self) -> bool:
        """Say whether the server lacks anything."""
        return bool(self._waiting)

    def settle(self, kept: Kept, why: str = "") -> None:
        """Take it that the server has a file, or won't take it for the reason `why`."""
        with self._lock:
            if kept.number in self._waiting:
                self._append({"done": kept.number, "why": why})
                self._end(kept.number, why)
        kept.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the ledger; what is in it stays. May be called twice."""
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1

    def remove(self) -> None:
        """Forget everything."""
        self.close()
        with suppress(FileNotFoundError):
            shutil.rmtree(self.folder)

    def _kept(self, number: int, upload_id: str, name: str, size_bytes: int, sha256: bytes) -> Kept:
        return Kept(
            number=number,
            file=OutputFile(upload_id=upload_id, name=name, bytes=size_bytes),
            sha256=sha256,
            path=self.folder / f"{number:08}",
        )

    def _take(self, kept: Kept) -> None:
        for older in [one for one in self._waiting.values() if one.file.name == kept.file.name]:
            del self._waiting[older.number]
            # Who is sending it at this moment has it open.
            older.path.unlink(missing_ok=True)
        self._waiting[kept.number] = kept
        self.sent_files = kept.number
        self.sent_bytes += kept.file.bytes

    def _end(self, number: int, why: str) -> None:
        kept = self._waiting.pop(number, None)
        if kept is None:
            return
        if why:
            self.refused[kept.file.name] = why
        else:
            self.stored[kept.file.name] = (kept.file.bytes, kept.sha256)
            self.refused.pop(kept.file.name, None)

    def _append(self, event: dict[str, Any]) -> None:
        content = json.dumps(event, separators=(",", ":")).encode() + b"\n"
        try:
            written = os.pwrite(self._file, content, self._size_bytes)
            if written != len(content):
                raise OSError(28, os.strerror(28))
            os.fdatasync(self._file)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, self._size_bytes)
            raise
        self._size_bytes += written

    def _load(self) -> int:
        """Read what earlier agents wrote; cut off what one was just writing."""
        size_bytes = 0
        with open(self._file, "rb", closefd=False) as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                event = json.loads(line)
                size_bytes += len(line)
                if "done" in event:
                    self._end(event["done"], event["why"])
                    continue
                sha256 = bytes.fromhex(event["sha256"])
                self._take(
                    self._kept(event["sent"], event["id"], event["name"], event["bytes"], sha256)
                )
        os.ftruncate(self._file, size_bytes)
        return size_bytes

    def _tidy(self) -> None:
        """Remove the bytes of what never came whole, and of what nobody needs any more."""
        needed = {kept.path.name for kept in self._waiting.values()} | {_LEDGER}
        for path in self.folder.iterdir():
            if path.name not in needed:
                path.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(place)
    finally:
        os.close(place)
