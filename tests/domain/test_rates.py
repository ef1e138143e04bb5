"""Counting by key: what passes, how long to wait, and that no table grows without end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow_server.domain.rates import Buckets, Places, Rate, address_of, seconds_to_wait


def test_a_burst_passes_and_the_next_is_told_how_long_to_wait():
    buckets = Buckets(Rate(per_s=2, burst=3))
    assert [buckets.take("ana", 0.0) for _ in range(4)] == [0, 0, 0, 0.5]
    assert buckets.take("ana", 0.4) == pytest.approx(0.1)
    assert buckets.take("ana", 0.5) == 0


def test_keys_do_not_count_for_each_other():
    buckets = Buckets(Rate(per_s=1, burst=1))
    assert [buckets.take(key, 0.0) for key in ("a", "a", "b")] == [0, 1, 0]


def test_a_refusal_and_a_look_take_nothing():
    buckets = Buckets(Rate(per_s=1, burst=1))
    buckets.take("a", 0.0)
    assert [buckets.take("a", 0.5), buckets.take("a", 0.5), buckets.wait_s("a", 0.5)] == [0.5] * 3
    assert buckets.wait_s("a", 1.0) == 0
    assert buckets.take("a", 1.0) == 0


@given(st.lists(st.floats(0, 2), max_size=200), st.floats(0.1, 50), st.integers(1, 20))
def test_no_span_of_time_lets_more_pass_than_the_burst_and_the_rate(steps, per_s, burst):
    buckets, now_s, passed = Buckets(Rate(per_s=per_s, burst=burst)), 0.0, 0
    for step_s in steps:
        now_s += step_s
        passed += buckets.take("a", now_s) == 0
    assert passed <= burst + per_s * now_s + 1e-6


def test_what_has_filled_up_again_is_forgotten():
    buckets = Buckets(Rate(per_s=1, burst=2))
    for number in range(100):
        buckets.take(f"key {number}", 0.0)
    buckets.take("another", 10.0)
    assert len(buckets) == 1


def test_the_table_is_bounded_and_the_one_used_last_stays():
    buckets = Buckets(Rate(per_s=0.001, burst=1), max_keys=10)
    for number in range(1000):
        buckets.take(f"key {number}", 0.0)
    assert len(buckets) == 10
    assert buckets.take("key 999", 0.0) > 0


def test_places_are_given_until_none_is_left_and_taken_back():
    places = Places(2)
    assert [places.enter("a") for _ in range(3)] == [True, True, False]
    assert places.enter("b")
    places.leave("a")
    assert places.enter("a")
    for key in ("a", "a", "b"):
        places.leave(key)
    assert len(places) == 0


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:10.1.2.3:4711", "10.1.2.3"),
        ("ipv6:[::1]:4711", "::/64"),
        ("ipv6:%5B2001:db8:1:2:3:4:5:6%5D:4711", "2001:db8:1:2::/64"),
        ("ipv6:%5B2001:db8:1:2:ffff::1%5D:1", "2001:db8:1:2::/64"),
        ("ipv6:%5Bfe80::1%25eth0%5D:4711", "fe80::/64"),
        ("ipv6:%5B::ffff:10.1.2.3%5D:4711", "10.1.2.3"),
        ("unix:/run/a.sock", "unix"),
        ("something", "something"),
    ],
)
def test_a_peer_is_counted_by_its_address_and_not_its_port(peer, address):
    assert address_of(peer) == address


@pytest.mark.parametrize(("wait_s", "text"), [(0.01, "1 second"), (1.2, "2 seconds")])
def test_a_wait_is_told_in_whole_seconds(wait_s, text):
    assert seconds_to_wait(wait_s) == text
