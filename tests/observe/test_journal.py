"""An agent's journal and the trace in it: older and newer agents read each other's."""

import json
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from party_agent.journal import Journal
from party_agent.unit import new_unit
from tests.agent.fakes import make_assignment

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def rewritten(tmp_path):
    """Store a traced unit, change its document, and return what is then loaded."""

    async def rewritten(change):
        unit = new_unit(replace(make_assignment("run1"), traceparent=PARENT), NOW)
        journal = Journal(tmp_path)
        await journal.save(unit)
        journal.close()
        with sqlite3.connect(tmp_path / "journal.sqlite3") as database:
            [(text,)] = database.execute("SELECT unit FROM units")
            document = json.loads(text)
            change(document)
            database.execute("UPDATE units SET unit = ?", (json.dumps(document),))
        database.close()
        journal = Journal(tmp_path)
        try:
            return unit, journal.load()
        finally:
            journal.close()

    return rewritten


async def test_the_trace_is_there_after_a_restart(rewritten):
    unit, loaded = await rewritten(lambda document: None)
    assert loaded == [unit]
    assert loaded[0].traceparent == PARENT


async def test_what_an_older_agent_wrote_has_no_trace(rewritten):
    unit, loaded = await rewritten(lambda document: document.pop("traceparent"))
    assert loaded == [replace(unit, traceparent="")]


async def test_a_field_that_a_newer_agent_wrote_is_passed_over(rewritten):
    unit, loaded = await rewritten(lambda document: document.update(from_the_future="x"))
    assert loaded == [unit]
