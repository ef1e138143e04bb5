"""A place with its witnesses and its player: what a campaign opens, plays over and closes."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from tests.chaos.database import BROKEN, connect
from tests.chaos.driver import Player
from tests.chaos.images import ensure_python_image
from tests.chaos.leftovers import remove_all
from tests.chaos.place import Kind, Place
from tests.chaos.schedule import Schedule
from tests.chaos.steps import DiskLog, EngineLog


class PlaceScene:
    """The real thing; `folder` has its logs."""

    def __init__(self, kind: Kind) -> None:
        self._place = Place(kind)
        self._open = AsyncExitStack()
        self.folder = str(self._place.folder)
        self.notes = self._place.notes

    async def __aenter__(self) -> Self:
        is_docker = self._place.kind.runtime == "docker"
        if is_docker:
            await asyncio.to_thread(ensure_python_image)
        self._open.callback(remove_all, self._place)
        await self._open.enter_async_context(self._place)
        witness = (EngineLog if is_docker else DiskLog)(self._place)
        log = await self._open.enter_async_context(witness)
        self._player = Player(self._place, log)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def play(self, schedule: Schedule) -> list[str]:
        return await self._player.play(schedule)

    async def probe(self) -> list[str]:
        return await self._player.probe()

    async def evidence(self) -> list[str]:
        """Return where the processes and the open rows stand, for whoever wonders why."""
        found = [f"{daemon.name}: {_look(daemon.pid)}" for daemon in self._place.daemons]
        found.append(f"postgres: {_look(self._place.database.pid)}")
        try:
            connection = await connect(self._place.database.url, within_s=5)
            rows = await connection.fetch(
                "SELECT party_runs.* FROM party_runs WHERE finished_at IS NULL"
            )
            connection.terminate()
        except BROKEN as error:
            return [*found, f"the database says nothing: {error!r}"]
        return found + [
            f"{row['party_run_id']} of {row['federated_id']}: wanted {row['desired']},"
            f" {row['state']} ({row['reason']})"
            for row in rows
        ]

    def discard(self) -> None:
        self._place.discard()


def _look(pid: int | None) -> str:
    if pid is None:
        return "is not there"
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return f"pid {pid} has gone"
    return f"pid {pid} is {'stopped' if state == 'T' else state}"
