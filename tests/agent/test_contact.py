import asyncio
import sqlite3

import pytest

from party_agent.contact import NOTE_EVERY_S, Contact
from party_agent.journal import Journal
from tests.agent.fakes import FakeClock


@pytest.fixture
def clock():
    return FakeClock()


class CountingJournal(Journal):
    """Counts the notes of contacts."""

    notes = 0

    async def note_contact(self, contact):
        self.notes += 1
        await super().note_contact(contact)


@pytest.fixture
def opened(tmp_path):
    journals = []

    def open_journal():
        for journal in journals:
            journal.close()
        journals.append(CountingJournal(tmp_path / "state"))
        return journals[-1]

    yield open_journal
    journals[-1].close()


def seconds_ago(clock, moment):
    return (clock.now() - moment).total_seconds()


def test_an_agent_that_never_had_a_session_lost_it_now(opened, clock):
    assert Contact(opened(), clock).lost_at == clock.now()


async def test_during_a_session_nothing_is_lost(opened, clock):
    contact = Contact(opened(), clock)
    await contact.gained()
    assert contact.lost_at is None


async def test_the_end_of_a_session_is_told_and_kept_over_a_restart(opened, clock):
    contact = Contact(opened(), clock)
    told = []
    contact.on_loss(lambda: told.append(contact.lost_at))
    await contact.gained()
    clock.advance(500)
    await contact.lost()
    assert told == [clock.now()]
    clock.advance(1000)
    assert seconds_ago(clock, Contact(opened(), clock).lost_at) == 1000


async def test_after_a_kill_the_doubt_is_the_workload_s_benefit(opened, clock):
    contact = Contact(opened(), clock)
    await contact.gained()
    clock.advance(1000)
    # Killed: the session may have lasted until just before the note that never came.
    assert seconds_ago(clock, Contact(opened(), clock).lost_at) == 1000 - NOTE_EVERY_S


async def test_a_quick_restart_never_makes_the_loss_older_than_it_is(opened, clock):
    contact = Contact(opened(), clock)
    await contact.gained()
    clock.advance(NOTE_EVERY_S - 1)
    assert Contact(opened(), clock).lost_at == clock.now()


async def test_a_clock_that_was_set_back_makes_no_loss_in_the_future(opened, clock):
    await Contact(opened(), clock).lost()
    clock.advance(-3600)
    assert Contact(opened(), clock).lost_at == clock.now()


async def test_a_session_is_noted_once_a_minute_at_most(opened, clock):
    journal = opened()
    contact = Contact(journal, clock)
    await contact.gained()
    keeping = asyncio.create_task(contact.keep())
    for count in range(1, 6):
        await clock.until_asleep(count)
        clock.advance(NOTE_EVERY_S)
    await clock.until_asleep(6)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    assert journal.notes == 6
    assert journal.last_contact().at == clock.now()


class FullJournal(Journal):
    """A journal whose disk is full."""

    async def note_contact(self, contact):
        raise sqlite3.OperationalError("database or disk is full")


async def test_a_full_disk_does_not_cost_the_session(clock):
    journal = FullJournal(None)
    contact = Contact(journal, clock)
    await contact.gained()
    assert contact.lost_at is None
    await contact.lost()
    assert contact.lost_at == clock.now()
    journal.close()
