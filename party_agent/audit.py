"""The site's own audit log: a file of JSON lines, appended and synced, each chained to the last.

It is the site's, not the server's: what was asked of it, by whom, and what came of it. The chain
is that of `flow_contract.audit`, so both logs are verified alike.
"""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from flow_contract.audit import GENESIS, Act, AuditEntry, Outcome, chain, from_document, to_document
from party_agent.disk import Disk

FILE_NAME = "audit.jsonl"


class AuditUnreadable(Exception):
    """The file holds what is no entry; the message names the line."""


class AuditLog:
    """Appends to one file, in the order of the calls. With no directory it keeps nothing.

    Invariant: an entry that `record` returned from is on the disk. What a crash left half
    written was never returned from, and is taken off before the next entry.
    """

    def __init__(self, state_dir: Path | None, *, actor: str = "server") -> None:
        self._path = None if state_dir is None else state_dir / FILE_NAME
        self._actor = actor
        # One thread: entries stand in the order in which they were recorded.
        self._disk = Disk(threads=1)
        self._sequence, self._hash = 0, GENESIS
        self._is_open = False

    async def record(
        self,
        action: str,
        *,
        outcome: Outcome = Outcome.DONE,
        actor_kind: str = "server",
        actor: str = "",
        subject_kind: str = "",
        subject_id: str = "",
        **detail: str,
    ) -> None:
        """Append one act. `detail` holds short facts: never a secret, never data.

        Raises:
            OSError: it can't be written.
            AuditUnreadable: what stands in the file already is not a log.
        """
        if self._path is None:
            return
        act = Act(
            at=datetime.now(UTC),
            actor_kind=actor_kind,
            actor=actor or self._actor,
            address="",
            action=action,
            subject_kind=subject_kind,
            subject_id=subject_id,
            outcome=outcome,
            detail=detail,
        )
        path = self._path
        await self._disk.do(lambda: self._append(path, act))

    def close(self) -> None:
        """Write nothing more. May be called twice."""
        self._disk.close()

    def _append(self, path: Path, act: Act) -> None:
        if not self._is_open:
            self._resume(path)
            self._is_open = True
        entry = chain(act, sequence=self._sequence + 1, previous_hash=self._hash)
        line = json.dumps(to_document(entry), ensure_ascii=True) + "\n"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size_bytes = os.fstat(descriptor).st_size
            try:
                _write_all(descriptor, line.encode())
                os.fsync(descriptor)
            except OSError:
                # A full disk leaves half a line; the next entry must not be glued to it.
                os.ftruncate(descriptor, size_bytes)
                raise
        finally:
            os.close(descriptor)
        self._sequence, self._hash = entry.sequence, entry.hash

    def _resume(self, path: Path) -> None:
        if not path.exists():
            return
        with path.open("rb+") as file:
            end = _end_of_last_line(file.read())
            file.truncate(end)
        for entry in read(path):
            self._sequence, self._hash = entry.sequence, entry.hash


def read(path: Path) -> Iterator[AuditEntry]:
    """Yield the file's entries in order; a last line that is only half there is left out.

    Raises:
        AuditUnreadable: a line is no entry.
        OSError: the file can't be read.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield from_document(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise AuditUnreadable(f"{path}:{number}: not an entry of the audit log") from error


def _end_of_last_line(content: bytes) -> int:
    return content.rfind(b"\n") + 1


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
