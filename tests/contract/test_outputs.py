"""Names of outputs, and how files go up: pure rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow_contract.errors import InvalidArgument
from flow_contract.outputs import (
    MAX_OFFERED,
    MAX_PACKED_BYTES,
    PART_BYTES,
    SMALL_BYTES,
    OutputFile,
    Place,
    check_name,
    packed_weight_bytes,
    packs,
    part_bytes,
    part_count,
    read_place,
    shown_name,
    write_place,
)


@pytest.mark.parametrize(
    "name", ["model.pt", "a/b/c", ".hidden", "..a", "a..", "日本/größe", " ", "x" * 255, "a\\b"]
)
def test_a_relative_path_is_a_name(name):
    check_name(name)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("", "empty"),
        ("..", "'..'"),
        ("../x", "'..'"),
        ("a/../b", "'..'"),
        ("./a", "'.'"),
        ("a//b", "empty part"),
        ("a/", "empty part"),
        ("/etc/shadow", "absolute"),
        ("a\x00", "control"),
        ("a\x7f", "control"),
        ("a\x85", "control"),
        ("bad\udcff", "UTF-8"),
        ("x" * 256, "255"),
        ("é" * 128, "255"),
        ("/".join(["x" * 200] * 21), "4096"),
        ("/".join("x" * 101), "100 folders"),
    ],
)
def test_what_leads_elsewhere_or_can_t_be_stored_is_refused_with_what_is_wrong(name, word):
    with pytest.raises(InvalidArgument, match="name") as caught:
        check_name(name)
    assert word in caught.value.message
    assert caught.value.field == "name"


@given(st.text() | st.binary().map(lambda raw: raw.decode(errors="surrogateescape")))
def test_any_name_can_be_shown(name):
    shown = shown_name(name)
    shown.encode()
    assert shown.isprintable() or "\x00" not in shown
    assert len(shown) <= 1000


@given(st.integers(1, 20 * PART_BYTES))
def test_parts_are_the_file_without_a_gap(size_bytes):
    sizes = [part_bytes(size_bytes, number) for number in range(part_count(size_bytes))]
    assert sum(sizes) == size_bytes
    assert all(0 < size <= PART_BYTES for size in sizes)
    assert set(sizes[:-1]) <= {PART_BYTES}


@given(st.lists(st.integers(0, SMALL_BYTES), max_size=1200))
def test_packs_hold_all_files_in_order_and_fit_into_a_message(sizes):
    files = [
        OutputFile(upload_id="0" * 32, name=f"{number}", bytes=size)
        for number, size in enumerate(sizes)
    ]
    found = packs(files)
    assert [file for pack in found for file in pack] == files
    for pack in found:
        assert 0 < len(pack) <= MAX_OFFERED
        assert sum(map(packed_weight_bytes, pack)) <= MAX_PACKED_BYTES


def test_a_place_is_read_as_it_was_written_and_nothing_else_is_one():
    assert read_place(write_place(Place(rank=3, key="ab12"))) == Place(rank=3, key="ab12")
    assert write_place(None) == ""
    assert read_place("").rank == -1
    for wrong in ("x", "1.", "-1.a", "1.a b", "9999999999.a"):
        with pytest.raises(InvalidArgument, match="after"):
            read_place(wrong)
