"""What one workload has reported, on disk until the server has it: nothing acknowledged is lost.

A line per request, whole or cut off at the next start; points are numbered by their order. All
calls may wait for the disk.
"""

import json
import os
import shutil
from collections import OrderedDict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flow_contract.errors import Exhausted, InvalidArgument
from flow_contract.metrics import MAX_BATCH, MAX_NAMES, MAX_POINTS, MetricBatch, MetricPoints
from party_agent.unit import SelfReport
from party_agent.workload_api.readings import SentBatch

MAX_BYTES = 128 * 1024**2
# Of processes of one workload, each of which sends one batch at a time.
_KNOWN_BATCHES = 1_024

_Row = list[Any]  # name, step, at_us, value


class Spool:
    """One party run's reports. `stored` is how many points are in it, `dropped` how many are not.

    `withheld` is the rule of the site that keeps points there, "" for none.

    Invariant: what `add` has returned is on disk.
    """

    def __init__(
        self, folder: Path, *, max_points: int = MAX_POINTS, max_bytes: int = MAX_BYTES
    ) -> None:
        """Open or make it in `folder`. Raises OSError."""
        self.party_run_id = folder.name
        self.stored = 0
        self.acknowledged = 0
        self._folder = folder
        self._max_points, self._max_bytes = max_points, max_bytes
        self._batches: OrderedDict[str, None] = OrderedDict()
        self._steps: dict[str, int] = {}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(folder / "points", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._size_bytes = self._load()
        self.dropped, self.told_dropped = int(self._note("dropped") or 0), 0
        self.withheld, self.told_withheld = self._note("withheld"), ""
        # Where the first line begins that the server may lack something of, and its first point.
        self._offset, self._first = 0, 1

    @property
    def says(self) -> SelfReport:
        """The newest word of the workload of itself."""
        return SelfReport(**json.loads(self._note("says") or "{}"))

    @property
    def changed_at(self) -> datetime:
        """When the last points were stored, as aware UTC."""
        return datetime.fromtimestamp(os.fstat(self._file).st_mtime, UTC)

    @property
    def is_told(self) -> bool:
        """Whether the server has everything."""
        told = (self.told_dropped, self.told_withheld)
        return self.acknowledged >= self.stored and told == (self.dropped, self.withheld)

    def bound(self, most_bytes: int | None) -> None:
        """Hold no more than this in bytes, where the site says so."""
        if most_bytes is not None:
            self._max_bytes = min(self._max_bytes, most_bytes)

    def withhold(self, rule: str) -> None:
        """Remember that the site keeps points there, from now on. Raises Exhausted."""
        self.withheld = rule
        self._keep("withheld", rule)

    def say(self, says: SelfReport) -> None:
        """Keep the newest word. Raises Exhausted."""
        self._keep("says", json.dumps(vars(says)))

    def add(self, sent: SentBatch, now_us: int) -> tuple[int, int]:
        """Store a batch once; return how many points were stored and how many there is no room for.

        Raises:
            InvalidArgument: there are too many names.
            Exhausted: the disk can't take it now; nothing was stored.
        """
        if sent.batch and sent.batch in self._batches:
            return len(sent.points), 0
        room = max(0, self._max_points - self.stored)
        if self._size_bytes >= self._max_bytes:
            room = 0
        rows, steps = self._rows(sent, room, now_us)
        lost = len(sent.points) - len(rows)
        if rows:
            self._append([sent.batch, rows])
            self.stored += len(rows)
            self._steps |= steps
        self._know(sent.batch)
        if lost or sent.dropped:
            self.dropped += lost + sent.dropped
            self._keep("dropped", str(self.dropped))
        return len(rows), lost

    def next_batch(self) -> MetricBatch:
        """Return what the server lacks, MAX_BATCH points at most; perhaps only a count."""
        rows: list[_Row] = []
        first, begin = self._first, self.acknowledged + 1
        for line, _ in self._lines(self._offset):
            rows += line[max(0, begin - first) :]
            first += len(line)
            if len(rows) >= MAX_BATCH:
                break
        del rows[MAX_BATCH:]
        return MetricBatch(
            party_run_id=self.party_run_id,
            first_sequence=begin,
            points=MetricPoints(
                names=tuple(row[0] for row in rows),
                steps=tuple(row[1] for row in rows),
                at_us=tuple(row[2] for row in rows),
                values=tuple(row[3] for row in rows),
            ),
            dropped=self.dropped,
            withheld=self.withheld,
        )

    def acknowledge(self, stored: int, dropped: int, withheld: str = "") -> None:
        """Take the server's word that it has the points up to `stored`, that count, that rule."""
        self.acknowledged = stored
        self.told_dropped, self.told_withheld = dropped, withheld
        if stored < self._first - 1:
            self._offset, self._first = 0, 1
        for line, behind in self._lines(self._offset):
            if self._first + len(line) - 1 > stored:
                break
            self._offset, self._first = behind, self._first + len(line)

    def close(self) -> None:
        """Let go of the file; what is in it stays. May be called twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def remove(self) -> None:
        """Forget everything."""
        self.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _rows(self, sent: SentBatch, room: int, now_us: int) -> tuple[list[_Row], dict[str, int]]:
        rows: list[_Row] = []
        steps: dict[str, int] = {}
        for place, point in enumerate(sent.points[:room]):
            known = steps.get(point.name, self._steps.get(point.name))
            if known is None and len(self._steps) + len(steps) >= MAX_NAMES:
                field = f"points[{place}].name"
                raise InvalidArgument(
                    f"{field}: a run has {MAX_NAMES} different names at most; use steps",
                    field=field,
                )
            step = point.step if point.step is not None else (-1 if known is None else known) + 1
            steps[point.name] = step
            at_us = now_us if point.at_us is None else point.at_us
            rows.append([point.name, step, at_us, point.value])
        return rows, steps

    def _append(self, line: list[Any]) -> None:
        content = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        try:
            written = os.pwrite(self._file, content, self._size_bytes)
            if written == len(content):
                os.fdatasync(self._file)
                self._size_bytes += written
                return
            os.ftruncate(self._file, self._size_bytes)
        except OSError as error:
            raise _no_room(error.strerror) from error
        raise _no_room("the disk is full")

    def _load(self) -> int:
        """Read what an earlier agent stored; cut off what it was just writing."""
        size_bytes = 0
        with open(self._file, "rb", closefd=False) as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                batch, rows = json.loads(line)
                size_bytes += len(line)
                self.stored += len(rows)
                self._steps.update({row[0]: row[1] for row in rows})
                self._know(batch)
        os.ftruncate(self._file, size_bytes)
        return size_bytes

    def _lines(self, offset: int) -> Iterator[tuple[list[_Row], int]]:
        """Yield the points of each line from `offset` on, and where the next line begins."""
        end = self._size_bytes
        with open(self._file, "rb", closefd=False) as lines:
            lines.seek(offset)
            while offset < end:
                line = lines.readline()
                offset += len(line)
                yield json.loads(line)[1], offset

    def _know(self, batch: str) -> None:
        if batch:
            self._batches[batch] = None
            if len(self._batches) > _KNOWN_BATCHES:
                self._batches.popitem(last=False)

    def _note(self, name: str) -> str:
        try:
            return (self._folder / name).read_text()
        except FileNotFoundError:
            return ""

    def _keep(self, name: str, content: str) -> None:
        draft = self._folder / f".{name}"
        try:
            draft.write_text(content)
            draft.replace(self._folder / name)
        except OSError as error:
            raise _no_room(error.strerror) from error


def _no_room(why: str | None) -> Exhausted:
    return Exhausted(f"the site can't store this now ({why}); send it again later")
