"""Since when the site has had no session with the server; kept over the agent's restarts."""

import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NoReturn

import structlog

from party_agent.clock import Clock
from party_agent.journal import Journal, LastContact

log = structlog.get_logger()

# A write to disk each: rare enough to cost nothing, often enough for limits of minutes.
NOTE_EVERY_S = 60.0


class Contact:
    """What is known of the server's nearness.

    Invariant: `lost_at` is never earlier than the true end of the last session, also in an
    agent that was killed: between two notes the doubt is the workload's benefit.
    """

    def __init__(self, journal: Journal, clock: Clock) -> None:
        """Go on from what `journal` says; an agent that never had a session lost it now."""
        self._journal = journal
        self._clock = clock
        now = clock.now()
        self._lost_at: datetime | None = min(now, _latest(journal.last_contact(), now))
        self._listeners: list[Callable[[], None]] = []

    @property
    def lost_at(self) -> datetime | None:
        """Since when there has been no session; None while there is one."""
        return self._lost_at

    def on_loss(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each end of a session."""
        self._listeners.append(listener)

    async def gained(self) -> None:
        """Note that a session has begun."""
        self._lost_at = None
        await self._note(is_open=True)

    async def keep(self) -> NoReturn:
        """Note from time to time that the session still is; runs as long as it is."""
        while True:
            await self._clock.sleep(NOTE_EVERY_S)
            await self._note(is_open=True)

    async def lost(self) -> None:
        """Note that the session has ended."""
        self._lost_at = self._clock.now()
        for listener in self._listeners:
            listener()
        await self._note(is_open=False)

    async def _note(self, *, is_open: bool) -> None:
        try:
            await self._journal.note_contact(LastContact(at=self._clock.now(), is_open=is_open))
        except sqlite3.Error as error:
            # A full disk must not cost the session too; only a restart would miss the note.
            log.warning("contact_not_noted", error=str(error))


def _latest(noted: LastContact | None, now: datetime) -> datetime:
    if noted is None:
        return now
    return noted.at + timedelta(seconds=NOTE_EVERY_S) if noted.is_open else noted.at
