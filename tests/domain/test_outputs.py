"""Which offered files are taken, and from where they go on."""

from flow_contract.outputs import PART_BYTES, OutputFile, OutputState
from flow_server.domain.outputs import KnownOutput, OutputCaps, Totals, judge

CAPS = OutputCaps(file_bytes=100, run_bytes=250, run_files=3)
NOTHING = Totals(files=0, bytes=0)


def file(name, size_bytes, upload_id="a"):
    return OutputFile(upload_id=upload_id, name=name, bytes=size_bytes)


def states(*files, there=None, coming=None, totals=NOTHING, caps=CAPS):
    answers = judge(files, there=there or {}, coming=coming or {}, totals=totals, caps=caps)
    return [answer.state.value for answer in answers]


def test_files_are_taken_until_there_are_too_many_or_too_much_of_them():
    assert states(file("a", 100), file("b", 101), file("c", 100), file("d", 51)) == [
        "open",
        "refused",
        "open",
        "refused",
    ]
    assert states(*(file(name, 0) for name in "abcd")) == ["open"] * 3 + ["refused"]
    assert states(file("a", 100), totals=Totals(files=1, bytes=151)) == ["refused"]


def test_a_file_that_is_there_is_not_wanted_but_a_newer_one_is():
    known = {"a": KnownOutput(upload_id="a", bytes=9, blob="b")}
    full = Totals(files=3, bytes=250)
    assert states(file("a", 9), there=known, totals=full) == ["stored"]
    assert states(file("a", 9, "other"), there=known) == ["open"]


def test_an_upload_goes_on_where_it_was_and_does_not_count_twice():
    caps = OutputCaps(file_bytes=10**9, run_bytes=3 * PART_BYTES, run_files=1)
    begun = KnownOutput(upload_id="a", bytes=3 * PART_BYTES, blob="b", stored_parts=2)
    totals = Totals(files=1, bytes=3 * PART_BYTES)
    (answer,) = judge(
        [file("a", 3 * PART_BYTES)], there={}, coming={"a": begun}, totals=totals, caps=caps
    )
    assert (answer.state, answer.stored_bytes) == (OutputState.OPEN, 2 * PART_BYTES)
    (answer,) = judge(
        [file("a", 5, "newer")], there={}, coming={"a": begun}, totals=totals, caps=caps
    )
    assert (answer.state, answer.stored_bytes) == (OutputState.OPEN, 0)
