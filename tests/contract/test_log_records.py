"""What was framed is read again, from any cut, and nothing else is taken for a record."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow_contract.log_records import (
    HEADER_BYTES,
    MAX_CHUNK_BYTES,
    MAX_DATA_BYTES,
    BadLog,
    LogRecord,
    LogStream,
    extent,
    frame,
    records,
    whole_bytes,
)

one = st.builds(
    LogRecord,
    stream=st.sampled_from(LogStream),
    at_us=st.integers(0, 2**62),
    data=st.binary(max_size=40),
)
many = st.lists(one, max_size=8)


def framed(items):
    return b"".join(frame(item) for item in items)


@given(many)
def test_what_was_framed_is_read_again(items):
    assert list(records(framed(items))) == items


@given(many, st.data())
def test_the_whole_records_before_a_cut_are_found(items, data):
    everything = framed(items)
    cut = data.draw(st.integers(0, len(everything)))
    whole = whole_bytes(everything[:cut])
    assert list(records(everything[:whole])) == items[: len(list(records(everything[:whole])))]
    left = everything[whole:cut]
    assert whole_bytes(left) == 0


@given(many, st.integers(0, 200))
def test_no_more_whole_records_are_taken_than_asked_for(items, most):
    assert whole_bytes(framed(items), most=most) <= most


@given(st.binary(min_size=1, max_size=60))
def test_any_bytes_are_either_records_or_refused(noise):
    try:
        read = list(records(noise))
    except BadLog:
        return
    assert framed(read) == noise


def test_data_longer_than_a_record_becomes_several_with_one_time():
    data = bytes(range(256)) * 400
    read = list(records(frame(LogRecord(stream=LogStream.STDERR, at_us=7, data=data))))
    assert [len(item.data) for item in read[:-1]] == [MAX_DATA_BYTES] * (len(read) - 1)
    assert b"".join(item.data for item in read) == data
    assert {(item.stream, item.at_us) for item in read} == {(LogStream.STDERR, 7)}


def test_two_of_the_longest_records_fit_in_a_chunk():
    longest = frame(LogRecord(stream=LogStream.STDOUT, at_us=1, data=b"x" * MAX_DATA_BYTES))
    assert len(longest) == HEADER_BYTES + MAX_DATA_BYTES
    assert whole_bytes(longest * 3) == 2 * len(longest) <= MAX_CHUNK_BYTES


def test_an_extent_counts_the_lines_that_end_and_the_marks():
    items = [
        LogRecord(stream=LogStream.STDOUT, at_us=5, data=b"one\ntwo"),
        LogRecord(stream=LogStream.MARK, at_us=6, data=b"9 bytes dropped"),
        LogRecord(stream=LogStream.STDERR, at_us=9, data=b"\n"),
    ]
    found = extent(framed(items))
    assert (found.first_at_us, found.last_at_us, found.lines) == (5, 9, 3)


def test_nothing_has_no_extent():
    with pytest.raises(BadLog):
        extent(b"")


def test_an_extent_holds_all_times_also_of_a_clock_that_went_back():
    items = [LogRecord(stream=LogStream.STDOUT, at_us=at_us, data=b"\n") for at_us in (7, 3, 9, 5)]
    found = extent(framed(items))
    assert (found.first_at_us, found.last_at_us) == (3, 9)
