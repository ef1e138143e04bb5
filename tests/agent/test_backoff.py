from party_agent.backoff import Backoff


def test_ceilings_double_up_to_the_cap():
    backoff = Backoff(first_s=1, max_s=60, random=lambda: 1.0)
    assert [backoff.next_s() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_delay_may_be_anything_below_its_ceiling():
    backoff = Backoff(first_s=1, max_s=60, random=lambda: 0.0)
    assert [backoff.next_s() for _ in range(3)] == [0, 0, 0]


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
