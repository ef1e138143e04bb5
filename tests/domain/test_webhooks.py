"""When a webhook is tried again, and how it is signed."""

import pytest

from flow_contract.errors import InvalidArgument
from flow_server.domain.webhooks import GIVEN_UP_AFTER_S, retry_after_s, signature, target_of


def test_pauses_double_up_to_an_hour_and_end_after_a_day():
    assert [retry_after_s(n, 0) for n in (1, 2, 3)] == [10, 20, 40]
    assert retry_after_s(10**9, 0) == 3600
    assert retry_after_s(20, GIVEN_UP_AFTER_S - 3601) == 3600
    assert retry_after_s(20, GIVEN_UP_AFTER_S - 3599) is None


def test_a_signature_depends_on_secret_time_and_body():
    made = {signature(s, t, b) for s in ("a", "b") for t in (1, 2) for b in (b"x", b"y")}
    assert len(made) == 8
    assert signature("a", 1, b"x").startswith("t=1,v1=")


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://10.1.2.3/", ["10.0.0.0/8"]),
        ("http://hooks.intern:8080/", ["HOOKS.intern"]),
        ("https://[fd00::1]/", ["fd00::/8"]),
        ("https://8.8.8.8/", []),
    ],
)
def test_what_the_operator_allows_or_is_public_may_be_posted_to(url, allowed):
    assert target_of(url, allowed=allowed).host


def test_a_network_that_is_allowed_allows_no_other():
    with pytest.raises(InvalidArgument):
        target_of("http://11.1.2.3/", allowed=["10.0.0.0/8", "not a network"])
