"""Checks of single values and of paging."""

import pytest

from flow_contract import checks
from flow_contract.errors import InvalidArgument


def refused(check, *args, **limits):
    with pytest.raises(InvalidArgument) as raised:
        check(*args, **limits)
    return raised.value


def test_a_null_byte_is_refused_with_the_fields_name():
    error = refused(checks.text, "remark", "a\x00b")
    assert error.field == "remark"
    assert "remark" in error.message
    assert "\x00" not in error.message


def test_a_lone_surrogate_is_refused():
    error = refused(checks.text, "remark", "a\ud800b")
    assert error.field == "remark"
    assert error.message.encode()


def test_characters_and_bytes_are_counted_apart():
    checks.text("name", "ä" * 10, max_chars=10, max_bytes=20)
    assert "characters" in refused(checks.text, "n", "ä" * 11, max_chars=10).message
    assert "bytes" in refused(checks.text, "n", "ä" * 10, max_chars=10, max_bytes=19).message


def test_a_megabyte_is_more_than_any_text_may_have():
    assert refused(checks.text, "remark", "x" * 1024**2).field == "remark"


def test_the_refused_element_of_a_list_is_named():
    assert refused(checks.texts, "command", ["ok", "\x00"], max_bytes=100).field == "command[1]"


def test_a_list_is_measured_as_json():
    checks.texts("command", ["x" * 6], max_bytes=10)
    error = refused(checks.texts, "command", ["x" * 7], max_bytes=10)
    assert error.field == "command"


@pytest.mark.parametrize("value", [None, 0, 0.5, 1])
def test_a_number_within_its_limits_or_left_out_is_accepted(value):
    checks.number("cpus", value, least=0, most=1)


@pytest.mark.parametrize("value", [-1, 1.01, float("nan"), float("inf"), float("-inf")])
def test_a_number_outside_its_limits_is_refused_with_the_limits(value):
    error = refused(checks.number, "cpus", value, least=0, most=1)
    assert error.field == "cpus"
    assert "between 0 and 1" in error.message


def test_nan_is_refused_where_there_is_no_upper_limit():
    assert "at least 1" in refused(checks.number, "pids", float("nan"), least=1).message


@pytest.mark.parametrize(("page", "limit"), [(1, 0), (1, 10), (7, 1000), (2**31 - 1, 1000)])
def test_a_page_from_1_and_a_limit_from_0_to_1000_are_accepted(page, limit):
    checks.page(page, limit)


@pytest.mark.parametrize(
    ("page", "limit", "field"),
    [(0, 10, "page"), (-1, 10, "page"), (2**31, 10, "page"), (1, -1, "limit"), (1, 1001, "limit")],
)
def test_any_other_page_or_limit_is_refused_by_name(page, limit, field):
    assert refused(checks.page, page, limit).field == field
