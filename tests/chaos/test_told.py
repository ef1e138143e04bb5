"""The comparison finds what it is there for, and nothing where all is well."""

from dataclasses import replace
from itertools import islice

import pytest

from flow_contract.log_records import LogRecord, LogStream
from tests.chaos import teller
from tests.chaos.told import Told, log_findings, metric_findings

KEY = "run/hospital-a"
TOLD = Told(key=KEY, pieces=500, batches=20)


def log(pieces=TOLD.pieces, size=1000):
    """Return the records of a log without a fault, read in bites of `size`."""
    found, at_us = [], 0
    for stream, data in islice(teller.pieces(KEY), pieces):
        for start in range(0, len(data), size):
            at_us += 1
            bite = data[start : start + size]
            found.append(LogRecord(stream=LogStream(stream), at_us=at_us, data=bite))
    return found


def points(batches=TOLD.batches):
    return [point for batch in islice(teller.batches(KEY), batches) for point in batch]


def without(found, *places):
    return [record for place, record in enumerate(found) if place not in places]


def changed(record):
    return replace(record, data=bytes([record.data[0] ^ 1]) + record.data[1:])


def mark(found, place, number):
    at_us = found[place].at_us
    return LogRecord(stream=LogStream.MARK, at_us=at_us, data=b"%d bytes dropped" % number)


def test_what_was_told_is_right_also_with_the_one_piece_that_is_in_doubt():
    assert log_findings(TOLD, log()) == []
    assert log_findings(TOLD, log(TOLD.pieces + 1)) == []
    assert log_findings(TOLD, [*log(), replace(log(501)[-1], data=log(501)[-1].data[:3])]) == []
    assert metric_findings(TOLD, points(), dropped=0) == []
    assert metric_findings(TOLD, points(TOLD.batches + 1), dropped=0) == []


@pytest.mark.parametrize("place", [0, 1, 100, 300, -1])
def test_a_removed_a_doubled_and_a_changed_piece_of_a_log_are_found(place):
    good = log()
    place %= len(good)
    assert log_findings(TOLD, without(good, place))
    assert log_findings(TOLD, [*good[: place + 1], *good[place:]])
    assert log_findings(TOLD, [*good[:place], changed(good[place]), *good[place + 1 :]])


def test_it_says_what_is_wrong_with_a_log():
    good = log()
    middle = next(n for n in range(100, 200) if len(good[n].data) > 50)
    size = len(good[middle].data)
    assert f"{size} bytes are missing" in log_findings(TOLD, without(good, middle))[0]
    doubled = log_findings(TOLD, [*good[: middle + 1], *good[middle:]])
    assert "repeats what was at" in doubled[0]
    other = [*good[:middle], changed(good[middle]), *good[middle + 1 :]]
    assert "was said as" in log_findings(TOLD, other)[0]
    assert "are missing" in log_findings(TOLD, log(TOLD.pieces - 10))[0]


def test_what_nobody_said_is_found():
    assert log_findings(TOLD, log(TOLD.pieces + 2))
    alone = LogRecord(stream=LogStream.STDOUT, at_us=1, data=b"hello")
    assert "never said" in log_findings(replace(TOLD, pieces=0), [*log(1), alone])[0]


def test_a_time_that_goes_back_is_found():
    good = log()
    assert "goes back" in log_findings(TOLD, [*good[:-1], replace(good[-1], at_us=1)])[0]


def test_a_mark_stands_for_as_many_bytes_as_it_says_and_no_more():
    good = log()
    size = len(good[100].data) + len(good[101].data)
    rest = without(good, 100, 101)
    assert log_findings(TOLD, [*rest[:100], mark(good, 100, size), *rest[100:]]) == []
    assert log_findings(TOLD, [*rest[:100], mark(good, 100, size - 1), *rest[100:]])
    assert log_findings(TOLD, [*good[:-1], mark(good, -1, len(good[-1].data))]) == []


def test_a_log_whose_runtime_was_hurt_may_end_early_and_have_no_hole():
    hurt = replace(TOLD, ends_early=True)
    good = log()
    assert log_findings(hurt, good[:200]) == []
    assert log_findings(hurt, without(good, 100))


def test_a_removed_a_doubled_and_a_changed_point_are_found():
    good = points()
    name, step, value = good[50]
    for wrong in (
        good[:50] + good[51:],
        good[:51] + good[50:],
        [*good[:50], (name, step, value + 1e-9), *good[51:]],
        good[:-1],
        [*good, (name, step, value)],
        points(TOLD.batches + 2),
        points(TOLD.batches - 1),
    ):
        assert metric_findings(TOLD, wrong, dropped=0)
    assert metric_findings(TOLD, good, dropped=1) == ["1 points were dropped"]
