"""The comparison of outputs finds what it is there for, and nothing where all is well."""

from dataclasses import replace
from hashlib import sha256
from itertools import islice

import pytest

from tests.chaos import teller
from tests.chaos.told import Told
from tests.chaos.told_outputs import ShownFile, output_findings

KEY = "run/hospital-a"
TOLD = Told(key=KEY, pieces=500, batches=20, outputs=40)
NOTES = {"starts": b"7\n", "exit": b"0\n", teller.OUTPUTS: b"40"}


def said(count=TOLD.outputs, told=TOLD):
    return list(islice(teller.outputs(told.key, told.large), count))


def lying(count=TOLD.outputs, told=TOLD):
    """Return what lies in the output directory of a workload without a fault."""
    left = {name: data for way, name, data in said(count, told) if way != teller.SENT}
    return {**left, **NOTES}


def shown(name, data):
    return ShownFile(name=name, sha256=sha256(data).digest(), data=data)


def there(count=TOLD.outputs, told=TOLD):
    """Return what a server shows of it."""
    sent = {name: data for way, name, data in said(count, told) if way != teller.LEFT}
    return [shown(name, data) for name, data in {**sent, **lying(count, told)}.items()]


def first_after(way, number):
    """Return how many outputs there are before one of this way that is not among the first."""
    return next(n for n, one in enumerate(said(1000)) if n >= number and one[0] == way)


@pytest.mark.parametrize("large", ["", teller.LEFT, teller.SENT])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 40, 300])
def test_what_was_left_and_acknowledged_is_right(large, count):
    told = replace(TOLD, large=large, outputs=count)
    assert output_findings(told, lying(count, told), there(count, told)) == []


@pytest.mark.parametrize("large", [teller.LEFT, teller.SENT])
def test_one_of_several_parts_is_among_them_if_it_is_drawn(large):
    found = there(40, replace(TOLD, large=large))
    assert [file.name.partition("/")[0] for file in found if len(file.data) > 2**24] == [large]


def test_the_one_that_is_in_doubt_may_be_there_or_not():
    count = first_after(teller.SENT, 20)
    told = replace(TOLD, outputs=count)
    assert output_findings(told, lying(count), there(count)) == []
    assert output_findings(told, lying(count), there(count + 1)) == []


def test_what_a_kill_halved_in_the_directory_is_there_as_it_lay():
    count = first_after(teller.LEFT, 20)
    _, name, data = said(count + 1)[-1]
    told = replace(TOLD, outputs=count)
    lay = {**lying(count), name: data[: len(data) // 2]}
    found = [file for file in there(count) if file.name != name]
    assert output_findings(told, lay, [*found, shown(name, lay[name])]) == []
    assert output_findings(told, lay, found)
    assert output_findings(told, lay, [*found, shown(name, data)])


@pytest.mark.parametrize("place", range(0, 26, 3))
def test_a_removed_a_doubled_a_changed_a_half_and_an_invented_file_are_found(place):
    good = there()
    file = good[place]
    others = [*good[:place], *good[place + 1 :]]
    more = file.data + b"more"
    other = bytes([file.data[0] ^ 1]) + file.data[1:] if file.data else b"x"
    for wrong, what in (
        (others, "is missing"),
        ([*good, file], "there 2 times"),
        ([*others, shown(file.name, other)], "differ from byte 0"),
        ([*others, shown(file.name, more)], f"differ from byte {len(file.data)}"),
        ([*others, replace(file, sha256=bytes(32))], "not the SHA-256"),
        ([*good, shown("nobody/made/it", b"hello")], "was invented"),
    ):
        findings = output_findings(TOLD, lying(), wrong)
        assert len(findings) == 1
        assert what in findings[0]
    if file.data:
        (finding,) = output_findings(TOLD, lying(), [*others, shown(file.name, file.data[:-1])])
        assert "by halves" in finding


def test_an_older_file_in_place_of_a_newer_one_is_found():
    count = next(n for n in range(41, 400) if said(n)[-1][0] == teller.SENT)
    name = said(count)[-1][1]
    older = [data for _, of, data in said(count - 1) if of == name]
    told = replace(TOLD, outputs=count)
    found = [file for file in there(count) if file.name != name]
    assert older
    assert output_findings(told, lying(count), [*found, shown(name, older[-1])])


def test_what_the_site_removed_or_changed_is_found():
    name = next(name for way, name, _ in said() if way == teller.LEFT)
    lay = lying()
    gone = {of: data for of, data in lay.items() if of != name}
    assert "is gone from" in output_findings(TOLD, gone, there())[0]
    assert "is changed in" in output_findings(TOLD, {**lay, name: b"other"}, there())[0]


def test_what_was_acknowledged_and_is_gone_is_found():
    name = next(name for way, name, _ in said() if way == teller.SENT)
    found = [file for file in there() if file.name != name]
    (finding,) = output_findings(TOLD, lying(), found)
    assert "that were acknowledged" in finding
