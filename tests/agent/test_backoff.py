import random
from collections import Counter

import pytest

from flow_server.settings import ServerSettings
from party_agent.backoff import Backoff


def test_ceilings_double_up_to_the_cap():
    backoff = Backoff(first_s=1, max_s=60, random=lambda: 1.0)
    assert [backoff.next_s() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_delay_may_be_anything_below_its_ceiling():
    backoff = Backoff(first_s=1, max_s=60, random=lambda: 0.0)
    assert [backoff.next_s() for _ in range(3)] == [0, 0, 0]


def test_who_drew_short_delays_does_not_wait_longer_than_the_server_was_away():
    chances = iter([0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    backoff = Backoff(first_s=1, max_s=60, random=lambda: next(chances))
    assert [backoff.next_s() for _ in range(8)] == [0, 0, 0, 0, 0, 1, 2, 4]


def test_after_a_session_it_begins_again():
    backoff = Backoff(first_s=1, max_s=60, random=lambda: 1.0)
    for _ in range(5):
        backoff.next_s()
    backoff.reset()
    assert backoff.next_s() == 1


def test_what_only_people_can_change_waits_at_least_half_the_cap():
    assert Backoff(first_s=1, max_s=60, random=lambda: 0.0).long_s() == 30
    assert Backoff(first_s=1, max_s=60, random=lambda: 1.0).long_s() == 60


def test_ten_thousand_attempts_do_not_overflow():
    backoff = Backoff(first_s=1, max_s=60, random=lambda: 1.0)
    assert max(backoff.next_s() for _ in range(10_000)) == 60


def test_no_ceiling_is_below_what_the_server_asked_for():
    backoff = Backoff(first_s=1, max_s=60, random=lambda: 1.0)
    backoff.spread(12)
    assert [backoff.next_s() for _ in range(6)] == [12, 12, 12, 12, 16, 32]
    backoff.reset()
    assert backoff.next_s() == 12


def test_who_is_alone_is_quick_once():
    backoff = Backoff(first_s=1, max_s=60, random=lambda: 1.0)
    backoff.spread(12)
    assert [backoff.next_s(is_alone=True) for _ in range(3)] == [1, 12, 12]


def test_the_longest_delay_holds_whatever_a_server_asks_for():
    backoff = Backoff(first_s=1, max_s=5, random=lambda: 1.0)
    backoff.spread(3600)
    assert backoff.next_s() == 5
    backoff.spread(-1)
    backoff.reset()
    assert backoff.next_s() == 1


def test_what_a_failed_dial_took_is_taken_off_but_for_the_spread():
    backoff = Backoff(first_s=1, max_s=60, random=lambda: 1.0)
    # The first is that of a session, however long it was.
    assert [backoff.next_s(spent_s=10) for _ in range(6)] == [1, 1, 1, 1, 6, 22]
    backoff.spread(12)
    assert backoff.next_s(spent_s=100) == 12


def test_where_somebody_waits_delays_grow_to_a_quarter_of_the_longest():
    backoff = Backoff(first_s=1, max_s=60, random=lambda: 1.0)
    assert [backoff.next_s(is_awaited=True) for _ in range(6)] == [1, 2, 4, 8, 15, 15]


@pytest.mark.parametrize(("agents", "per_s"), [(1_000, 200), (10_000, 850)])
def test_the_agents_of_a_killed_server_come_evenly(agents, per_s):
    chance = random.Random(7)  # noqa: S311  a draw that can be repeated
    spread_s = ServerSettings().reconnect_spread_s(agents)
    arrivals = []
    for _ in range(agents):
        backoff = Backoff(first_s=1, max_s=60, random=chance.random)
        backoff.spread(spread_s)
        arrivals.append(backoff.next_s())
    per_second = Counter(int(moment) for moment in arrivals)
    assert max(per_second.values()) < per_s * 1.2
    assert max(arrivals) <= ServerSettings().lease_s
