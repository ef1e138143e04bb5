"""How fast bytes may pass: the rule's rate, in the long run and after a pause."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from party_agent.tunnel.rates import BURST_S, Bucket, Valve


def test_without_a_rule_nobody_waits():
    bucket = Bucket(lambda: None)
    bucket.take(10**12, 0.0)
    assert bucket.wait_s(0.0) == 0
    assert bucket.most_bytes(65_536) == 65_536


@given(
    rate=st.integers(1024, 10**9),
    sizes=st.lists(st.integers(1, 10**6), min_size=1, max_size=50),
)
def test_who_waits_as_told_is_never_faster_than_the_rule_but_for_a_burst(rate, sizes):
    bucket, now_s, passed = Bucket(lambda: rate), 0.0, 0
    for size in sizes:
        now_s += bucket.wait_s(now_s)
        assert passed <= rate * (now_s + BURST_S) * 1.000001
        bucket.take(size, now_s)
        passed += size


def test_a_pause_saves_up_no_more_than_a_burst():
    bucket = Bucket(lambda: 1000)
    bucket.take(100, 0.0)
    bucket.take(100, 3600.0)
    assert bucket.wait_s(3600.0) == pytest.approx(0)
    bucket.take(1000, 3600.0)
    assert bucket.wait_s(3600.0) == pytest.approx(1.0)


def test_a_rule_that_changes_counts_at_once():
    rate = 1024
    bucket = Bucket(lambda: rate)
    bucket.take(1024 * 1024, 0.0)
    assert bucket.wait_s(0.0) > 1000
    rate = None
    assert bucket.wait_s(0.0) == 0


def test_the_slowest_of_several_decides():
    site, run = Bucket(lambda: 10_000), Bucket(lambda: 2000)
    valve = Valve(site, run)
    assert valve.take(2200, 0.0) == pytest.approx(1.0)
    assert valve.most_bytes(65_536) == 1024
    # The site's is used up by another run as well.
    other = Valve(site)
    assert other.take(10_000, 0.0) == pytest.approx((2200 + 10_000 - 1000) / 10_000)


def test_an_empty_valve_lets_everything_pass():
    assert Valve().take(10**12, 0.0) == 0
    assert Valve().most_bytes(7) == 7
