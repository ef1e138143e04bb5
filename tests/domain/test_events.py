"""Tokens name a place and nothing else does; filters and sight decide who is told."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow_contract.access import Caller, CallerKind, Right
from flow_contract.errors import InvalidArgument
from flow_contract.events import Event, EventFilter, EventKind
from flow_server.domain.events import Position, is_wanted, may_see, read_token, token_of

FEED = 7
positions = st.builds(
    Position,
    transaction_id=st.integers(0, 2**64 - 1),
    event_id=st.integers(0, 2**63 - 1),
)


def event(kind=EventKind.RUN, **fields):
    given_fields = {"task_id": "task", "run_id": "run"} | fields
    return Event(
        token="",
        event_id=1,
        kind=kind,
        side="status",
        from_value="",
        to_value="Started",
        reason="none",
        at=datetime(2026, 1, 1, tzinfo=UTC),
        **given_fields,
    )


@given(positions)
def test_a_token_is_read_as_the_place_that_it_was_made_of(position):
    assert read_token(FEED, token_of(FEED, position)) == position


@given(positions, st.integers(0, 2**32 - 1).filter(lambda feed: feed != FEED))
def test_a_token_of_another_feed_is_refused(position, feed):
    with pytest.raises(InvalidArgument, match=r"another database.*begin anew"):
        read_token(FEED, token_of(feed, position))


@given(st.text(max_size=128))
def test_what_nobody_made_is_refused_and_never_breaks(text):
    with pytest.raises(InvalidArgument, match="begin anew"):
        read_token(FEED, text)


@given(positions, st.integers(0, 27), st.sampled_from("AZaz09-_=+/ é"))
def test_a_token_with_another_letter_names_another_place_or_none(position, place, letter):
    token = token_of(FEED, position)
    changed = token[:place] + letter + token[place + 1 :]
    try:
        read = read_token(FEED, changed)
    except InvalidArgument:
        return
    assert (read == position) is (changed == token)


@given(positions, positions)
def test_places_are_ordered_by_transaction_then_by_event(one, other):
    pair = (one.transaction_id, one.event_id), (other.transaction_id, other.event_id)
    assert (one < other) is (pair[0] < pair[1])


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (EventFilter(), True),
        (EventFilter(task_ids=frozenset({"task", "other"})), True),
        (EventFilter(task_ids=frozenset({"other"})), False),
        (EventFilter(run_id="run"), True),
        (EventFilter(run_id="other"), False),
        (EventFilter(federated_ids=frozenset({"north"})), False),
        (EventFilter(kinds=frozenset({EventKind.RUN})), True),
        (EventFilter(kinds=frozenset({EventKind.PARTY})), False),
        (EventFilter(run_id="run", kinds=frozenset({EventKind.PARTY})), False),
    ],
)
def test_each_field_of_a_filter_leaves_what_fits_it(wanted, fits):
    assert is_wanted(wanted, event()) is fits


@pytest.mark.parametrize(
    ("rights", "owner", "sees"),
    [
        ({Right.READ}, "ana", True),
        ({Right.READ}, "rob", False),
        ({Right.READ}, "", False),
        ({Right.READ}, None, False),
        ({Right.READ, Right.READ_ALL}, "rob", True),
        ({Right.READ, Right.READ_ALL}, None, True),
    ],
)
def test_of_tasks_a_caller_is_told_what_it_may_see(rights, owner, sees):
    caller = Caller(kind=CallerKind.USER, name="ana", rights=frozenset(rights))
    assert may_see(caller, event(), owner) is sees
    party = event(kind=EventKind.PARTY, task_id="", run_id="", federated_id="north")
    assert may_see(caller, party, None)
