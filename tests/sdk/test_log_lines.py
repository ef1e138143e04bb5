"""Lines made of records, however those were cut, and merged over parties."""

from datetime import UTC, datetime

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from flow_contract.errors import Internal
from flow_contract.log_records import LogRecord, LogStream, at_of, frame
from flow_contract.logs import LogChunk, LogHead, PartyLog
from flow_server_sdk.log_lines import MAX_LINE_BYTES, LineReader

OUT, ERR, MARK = LogStream


def chunk(party, start, *items, at_us=1000):
    """A chunk of (stream, data), a microsecond apart."""
    raw = b"".join(
        frame(LogRecord(stream=stream, at_us=at_us + place, data=data))
        for place, (stream, data) in enumerate(items)
    )
    return LogChunk(
        party_run_id=party,
        start=start,
        raw_bytes=len(raw),
        first_at=at_of(at_us),
        last_at=at_of(at_us + len(items)),
        lines=0,
        data=zstandard.compress(raw),
    )


def reader(*parties, start=0, since=None, tail=None):
    lines = LineReader(since=since, tail=tail)
    logs = [
        PartyLog(
            party_run_id=party,
            federated_id=f"site-{party}",
            rank=rank,
            start=start,
            end=start,
            complete=False,
            withheld=False,
        )
        for rank, party in enumerate(parties)
    ]
    lines.begin(LogHead(run_id="run", parties=tuple(logs)))
    return lines


def everything(lines, *chunks):
    got = [line for one in chunks for line in lines.take(one)]
    return [*got, *lines.rest(), *lines.unfinished()]


@given(st.lists(st.binary(max_size=12), min_size=1, max_size=8))
def test_cuts_between_records_make_no_difference(pieces):
    whole = b"".join(pieces)
    got = everything(reader("a"), chunk("a", 0, *[(OUT, piece) for piece in pieces]))
    ends = [*whole.split(b"\n")]
    assert [line.raw for line in got] == (ends[:-1] if not ends[-1] else ends)


def test_streams_of_one_party_are_not_mixed_within_a_line():
    one = chunk("a", 0, (OUT, b"o"), (ERR, b"e"), (OUT, b"ut\n"), (ERR, b"rr\n"))
    got = everything(reader("a"), one)
    assert [(line.stream, line.text) for line in got] == [("stdout", "out"), ("stderr", "err")]


def test_lines_of_all_parties_come_in_the_order_of_time():
    first = chunk("a", 0, (OUT, b"1\n"), (OUT, b"4\n"), at_us=10)
    second = chunk("b", 0, (OUT, b"2\n"), (OUT, b"3\n"), at_us=10)
    got = everything(reader("a", "b"), first, second)
    assert [line.at for line in got] == sorted(line.at for line in got)
    assert {(line.party, line.text) for line in got if line.party == "site-b"} == {
        ("site-b", "2"),
        ("site-b", "3"),
    }


def test_a_line_is_held_back_until_no_earlier_one_can_come():
    lines = reader("a", "b")
    assert list(lines.take(chunk("a", 0, (OUT, b"late\n"), at_us=50))) == []
    assert list(lines.take(chunk("b", 0, (OUT, b"early\n"), at_us=50))) == []
    assert len(list(lines.rest())) == 2


def test_a_clock_an_hour_off_loses_nothing_and_keeps_each_partys_order():
    hour_us = 3_600_000_000
    ahead = chunk("a", 0, *[(OUT, b"%d\n" % number) for number in range(5)], at_us=hour_us)
    behind = chunk("b", 0, *[(OUT, b"%d\n" % number) for number in range(5)], at_us=10)
    got = everything(reader("a", "b"), behind, ahead)
    for party in ("site-a", "site-b"):
        assert [line.text for line in got if line.party == party] == list("01234")


def test_a_tail_is_the_last_whole_lines_of_each_party():
    one = chunk("a", 100, (OUT, b"of a line\n2\n3\n4\n"))
    got = everything(reader("a", start=100, tail=2), one)
    assert [line.text for line in got] == ["3", "4"]


def test_what_follows_a_tail_is_all_there():
    lines = reader("a", tail=1)
    one = chunk("a", 0, (OUT, b"1\n2\n"))
    assert [line.text for line in [*lines.take(one), *lines.rest()]] == ["2"]
    two = chunk("a", one.end, (OUT, b"3\n4\n"))
    assert [line.text for line in [*lines.take(two), *lines.rest()]] == ["3", "4"]


def test_half_a_line_that_began_before_what_is_read_is_no_line():
    got = everything(reader("a", start=9), chunk("a", 9, (OUT, b"half\nwhole\n")))
    assert [line.text for line in got] == ["whole"]


def test_since_leaves_out_what_ended_before():
    one = chunk("a", 0, (OUT, b"1\n"), (OUT, b"2\n"), at_us=10)
    got = everything(reader("a", since=at_of(11)), one)
    assert [line.text for line in got] == ["2"]


def test_a_line_longer_than_a_line_may_be_comes_in_pieces():
    lines = reader("a")
    got, start = [], 0
    for _ in range(70):
        one = chunk("a", start, (OUT, b"x" * 30_000))
        start = one.end
        got += lines.take(one)
    got += [*lines.rest(), *lines.unfinished()]
    assert b"".join(line.raw for line in got) == b"x" * 70 * 30_000
    assert [line.is_cut for line in got] == [True] * (len(got) - 1) + [False]
    assert max(len(line.raw) for line in got) == MAX_LINE_BYTES


def test_what_is_not_utf_8_is_replaced_in_the_text_and_kept_in_the_bytes():
    (line,) = everything(reader("a"), chunk("a", 0, (OUT, b"\xff\x00ok\n")))
    assert (line.text, line.raw) == ("\ufffd\x00ok", b"\xff\x00ok")


def test_a_mark_is_a_line_of_its_own():
    got = everything(reader("a"), chunk("a", 0, (MARK, b"9 bytes dropped"), (OUT, b"on\n")))
    assert [(line.stream, line.text) for line in got] == [
        ("mark", "9 bytes dropped"),
        ("stdout", "on"),
    ]


@pytest.mark.parametrize(
    "data",
    [b"", b"no zstd at all", zstandard.compress(b"\0" * 10**8), zstandard.compress(b"\1" * 20)],
)
def test_what_is_no_chunk_is_refused_without_being_unpacked_whole(data):
    at = datetime(2026, 1, 1, tzinfo=UTC)
    bad = LogChunk(
        party_run_id="a", start=0, raw_bytes=20, first_at=at, last_at=at, lines=0, data=data
    )
    with pytest.raises(Internal, match="can't be read"):
        list(reader("a").take(bad))


HOUR_US = 3_600_000_000


def of_two_clocks():
    """Chunks of site a and of site b, whose clock is an hour ahead: what each wrote, twice."""
    early, later = [], []
    for party, ahead_us in (("a", 0), ("b", HOUR_US)):
        first = chunk(party, 0, (OUT, b"%s1\n" % party.encode()), at_us=1_000_000 + ahead_us)
        early.append(first)
        second = (OUT, b"%s2\n" % party.encode())
        later.append(chunk(party, first.end, second, at_us=2_000_000 + ahead_us))
    return early, later


def test_a_site_whose_clock_is_an_hour_ahead_holds_nobody_back_who_follows():
    lines = reader("a", "b")
    for chunks in of_two_clocks():
        got = [line for one in chunks for line in lines.take(one)]
        got += lines.rest()
        assert sorted(line.party for line in got) == ["site-a", "site-b"]


def test_what_is_there_is_merged_by_each_site_s_own_clock_and_each_site_keeps_its_order():
    early, later = of_two_clocks()
    # As a server sends them: by the time that stands in them.
    chunks = sorted([*early, *later], key=lambda one: one.first_at)
    got = everything(reader("a", "b"), *chunks)
    assert [line.text for line in got] == ["a1", "a2", "b1", "b2"]


def test_since_goes_by_the_clock_of_the_site_that_wrote():
    early, later = of_two_clocks()
    got = everything(reader("a", "b", since=at_of(HOUR_US // 2)), *early, *later)
    assert [line.text for line in got] == ["b1", "b2"]
