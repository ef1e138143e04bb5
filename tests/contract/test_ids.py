"""Identifiers and the form under which names are compared."""

import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow_contract.ids import is_party_id, name_key, new_id, new_template_id


def test_a_template_id_has_30_hex_digits_and_any_other_32():
    assert re.fullmatch(r"[0-9a-f]{30}", new_template_id())
    assert re.fullmatch(r"[0-9a-f]{32}", new_id())


def test_no_two_ids_are_the_same():
    assert len({new_template_id() for _ in range(1000)}) == 1000
    assert len({new_id() for _ in range(1000)}) == 1000


@pytest.mark.parametrize("text", ["a", "federate-1", "Site_A.2", "0", "x" * 63])
def test_a_party_id_is_short_and_plain(text):
    assert is_party_id(text)


@pytest.mark.parametrize(
    "text", ["", "-a", ".a", "_a", "a b", "a/b", "a\n", "\x00", "ä", "x" * 64, "a:b", "..", "٣"]
)
def test_what_could_not_stand_in_a_container_name_is_no_party_id(text):
    assert not is_party_id(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("TPL_A", "tpl_a"),
        ("tpl_a ", "tpl_a"),
        ("\ttpl_a\n", "tpl_a"),
        ("\uff54\uff50\uff4c", "tpl"),
        ("Straße", "STRASSE"),
        ("Å", "A\u030a"),
        ("ﬁle", "FILE"),
        ("\u0390", "\u0390".upper()),
    ],
)
def test_names_that_people_read_as_one_are_one(one, other):
    assert name_key(one) == name_key(other)


@pytest.mark.parametrize(("one", "other"), [("a b", "ab"), ("a-b", "a_b"), ("a1", "a2")])
def test_names_that_people_tell_apart_stay_apart(one, other):
    assert name_key(one) != name_key(other)


def test_the_key_of_a_key_is_itself_for_every_character():
    surrogates = range(0xD800, 0xE000)
    changed = [
        code
        for code in range(sys.maxunicode + 1)
        if code not in surrogates
        and name_key(name_key(f"a{chr(code)}b")) != name_key(f"a{chr(code)}b")
    ]
    assert changed == []


@given(st.text(max_size=50))
def test_the_key_of_a_key_is_itself(name):
    assert name_key(name_key(name)) == name_key(name)
