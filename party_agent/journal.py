"""What must survive the agent: its units, what it is to clean up later, and who it is."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter

from flow_contract import ids
from party_agent.journal_file import JournalFile, StateDirUnusable, Statement
from party_agent.runtime.port import PulledImage
from party_agent.unit import Unit

_UNIT = TypeAdapter(Unit)

# Assignments of party runs that ended longer ago than this many others are not on their way.
KEPT_ENDED = 5_000


@dataclass(frozen=True, kw_only=True)
class LastContact:
    """A moment at which there was a session with the server; `is_open`: it had not ended then."""

    at: datetime
    is_open: bool


class Journal:
    """Reads and writes what one agent must not forget; `instance_id` is random and kept.

    Each write is on disk when its call returns, and lands also if the caller is cancelled.
    """

    def __init__(self, state_dir: Path | None) -> None:
        """Open or create it in `state_dir`; None keeps everything in memory.

        Raises:
            StateDirInUse: another agent is using the directory.
            StateDirUnusable: it can't be used at all.
        """
        self._file = JournalFile(state_dir)
        values = ("instance_id", ids.new_id())
        self._file.write_now(("INSERT OR IGNORE INTO meta VALUES (?, ?)", values))
        self.instance_id = str(self._meta("instance_id"))

    def load(self) -> list[Unit]:
        """Return every unit, oldest start first.

        Raises:
            StateDirUnusable: a unit can't be read, which only a newer agent's could cause.
        """
        rows = self._file.read_now("SELECT unit FROM units")
        try:
            units = [_UNIT.validate_json(row[0]) for row in rows]
        except ValueError as error:
            raise StateDirUnusable(f"the journal holds what can't be read: {error}") from error
        return sorted(units, key=lambda unit: unit.spec.order)

    async def save(self, unit: Unit) -> None:
        """Store the unit."""
        document = _UNIT.dump_json(unit, exclude={"failures"}).decode()
        await self._write(
            ("INSERT OR REPLACE INTO units VALUES (?, ?)", (unit.party_run_id, document))
        )

    def load_ended(self, most: int = KEPT_ENDED) -> list[str]:
        """Return the ids of the `most` party runs forgotten last, oldest first; drop the others."""
        newest = f"SELECT number FROM ended ORDER BY number DESC LIMIT {most:d}"  # noqa: S608  a number
        self._file.write_now((f"DELETE FROM ended WHERE number NOT IN ({newest})", ()))  # noqa: S608  the same
        return [
            row[0] for row in self._file.read_now("SELECT party_run_id FROM ended ORDER BY number")
        ]

    async def forget(self, unit: Unit, now: datetime) -> None:
        """Keep of the unit that it is never run again, and what is to be cleaned up of it."""
        party_run_id = unit.party_run_id
        await self._write(
            ("INSERT INTO ended (party_run_id) VALUES (?)", (party_run_id,)),
            ("INSERT OR REPLACE INTO outputs VALUES (?, ?)", (party_run_id, now.isoformat())),
            _used(unit.spec.image_url, now),
            ("DELETE FROM approvals WHERE party_run_id = ?", (party_run_id,)),
            ("DELETE FROM units WHERE party_run_id = ?", (party_run_id,)),
        )

    def approvals(self) -> list[tuple[str, str, str, str]]:
        """Return party run, digest, time and verdict of every question to the site's people."""
        rows = self._file.read_now("SELECT party_run_id, digest, asked_at, verdict FROM approvals")
        return [(row[0], row[1], row[2], row[3]) for row in rows]

    async def save_approval(
        self, party_run_id: str, digest: str, asked_at: str, verdict: str
    ) -> None:
        """Store a question to the site's people, or its answer."""
        values = (party_run_id, digest, asked_at, verdict)
        await self._write(("INSERT OR REPLACE INTO approvals VALUES (?, ?, ?, ?)", values))

    def last_contact(self) -> LastContact | None:
        """Return the last contact that was noted, None if there was none."""
        value = self._meta("last_contact")
        if value is None:
            return None
        found = json.loads(value)
        return LastContact(at=datetime.fromisoformat(found["at"]), is_open=found["is_open"])

    async def note_contact(self, contact: LastContact) -> None:
        """Store the last contact."""
        value = json.dumps({"at": contact.at.isoformat(), "is_open": contact.is_open})
        await self._write(("INSERT OR REPLACE INTO meta VALUES ('last_contact', ?)", (value,)))

    async def outputs(self) -> list[tuple[str, datetime]]:
        """Return the party runs whose output was not removed, with their ends, newest first."""
        rows = await self._file.read(
            "SELECT party_run_id, ended_at FROM outputs ORDER BY ended_at DESC, party_run_id"
        )
        return [(row[0], datetime.fromisoformat(row[1])) for row in rows]

    async def forget_output(self, party_run_id: str) -> None:
        """Note that the output of the party run is gone."""
        await self._write(("DELETE FROM outputs WHERE party_run_id = ?", (party_run_id,)))

    async def images(self) -> list[tuple[PulledImage, datetime]]:
        """Return the images that this agent pulled, each with its last known use."""
        rows = await self._file.read(
            "SELECT reference, image_id, used_at FROM images ORDER BY used_at"
        )
        return [
            (PulledImage(reference=row[0], image_id=row[1]), datetime.fromisoformat(row[2]))
            for row in rows
        ]

    async def note_pull(self, image: PulledImage, now: datetime) -> None:
        """Remember that this agent pulled the image."""
        values = (image.reference, image.image_id, now.isoformat())
        await self._write(("INSERT OR REPLACE INTO images VALUES (?, ?, ?)", values))

    async def note_use(self, reference: str, now: datetime) -> None:
        """Remember a use of an image; of one that others brought nothing is kept."""
        await self._write(_used(reference, now))

    async def forget_image(self, reference: str) -> None:
        """Note that the image is gone, or not ours any more."""
        await self._write(("DELETE FROM images WHERE reference = ?", (reference,)))

    def close(self) -> None:
        """Finish the writes asked for, then let the directory go. May be called twice."""
        self._file.close()

    async def _write(self, *statements: Statement) -> None:
        await self._file.write(*statements)

    def _meta(self, key: str) -> str | None:
        rows = self._file.read_now("SELECT value FROM meta WHERE key = ?", (key,))
        return rows[0][0] if rows else None


def _used(reference: str, now: datetime) -> Statement:
    return ("UPDATE images SET used_at = ? WHERE reference = ?", (now.isoformat(), reference))
