from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow_contract.audit import GENESIS, Act, Outcome, chain, hash_of, verify

_ACT = Act(
    at=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    actor_kind="user",
    actor="alice",
    address="ipv4:10.0.0.1:5000",
    action="TaskService/Start",
    subject_kind="task",
    subject_id="t" * 32,
    outcome=Outcome.DONE,
    detail={"run_id": "r", "credential": "abc"},
)


def chained(count):
    entries, previous_hash = [], GENESIS
    for sequence in range(1, count + 1):
        entry = chain(
            replace(_ACT, subject_id=str(sequence)), sequence=sequence, previous_hash=previous_hash
        )
        previous_hash = entry.hash
        entries.append(entry)
    return entries


CHANGES = {
    "at": _ACT.at + timedelta(microseconds=1),
    "actor_kind": "local",
    "actor": "mallory",
    "address": "ipv4:10.0.0.2:5000",
    "action": "TaskService/Stop",
    "subject_kind": "run",
    "subject_id": "other",
    "outcome": Outcome.DENIED,
    "detail": {},
}


def test_a_chain_that_nobody_touched_holds():
    assert verify(chained(5)) is None
    assert verify([]) is None


def test_every_field_of_an_act_has_a_change_in_this_table():
    assert set(CHANGES) == set(Act.__dataclass_fields__)


@pytest.mark.parametrize("field", CHANGES)
def test_a_change_of_any_field_is_found_where_it_was_made(field):
    entries = chained(5)
    entries[2] = replace(entries[2], act=replace(entries[2].act, **{field: CHANGES[field]}))
    found = verify(entries)
    assert (found.sequence, found.problem) == (3, "it is not what was written")


def test_a_changed_entry_with_its_hash_made_anew_is_found_at_the_next_one():
    entries = chained(5)
    forged = replace(entries[2].act, actor="mallory")
    entries[2] = chain(forged, sequence=3, previous_hash=entries[2].previous_hash)
    assert verify(entries).sequence == 4


@given(st.integers(0, 5))
def test_a_missing_entry_is_found(position):
    entries = chained(7)
    del entries[position]
    assert verify(entries).sequence == position + 1


def test_an_entry_that_was_put_in_is_found():
    entries = chained(4)
    entries.insert(2, entries[1])
    assert verify(entries).sequence == 3


def test_two_entries_that_changed_places_are_found():
    entries = chained(4)
    entries[1], entries[2] = entries[2], entries[1]
    assert verify(entries).sequence == 2


def test_a_cut_at_the_end_holds_and_only_the_newest_hash_kept_elsewhere_shows_it():
    entries = chained(5)
    assert verify(entries[:3]) is None
    assert entries[2].hash != entries[4].hash


def test_a_part_of_a_chain_is_verified_from_where_it_begins():
    entries = chained(6)
    assert verify(entries[3:], after_sequence=3, previous_hash=entries[2].hash) is None
    assert verify(entries[3:], after_sequence=3, previous_hash="0" * 64).sequence == 4


def test_the_hash_does_not_depend_on_the_time_zone_that_a_time_is_written_in():
    elsewhere = replace(_ACT, at=_ACT.at.astimezone(timezone(timedelta(hours=9))))
    assert hash_of(elsewhere, sequence=1, previous_hash=GENESIS) == hash_of(
        _ACT, sequence=1, previous_hash=GENESIS
    )


def test_the_hash_is_the_documented_one():
    assert (
        hash_of(_ACT, sequence=1, previous_hash=GENESIS)
        == "acfe023e5d0fb5fcefd7ded181dac5355e9b578acf751e920c97dee1275213f2"
    )
